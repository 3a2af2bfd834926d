# cython: language_level=3, boundscheck=False, wraparound=False
"""The native door to libzmq: one call per multipart message, and frames that are read where they were received.

The functions are those of the very libzmq that pyzmq has loaded (looked up through pyzmq's own extension module), so
that sockets and contexts are shared and nothing is linked. `fallback.py` has the same face on plain pyzmq.

Calls never block and keep the GIL: libzmq's non-blocking calls take less time than letting it go and back.
"""

import ctypes

import zmq
import zmq.backend.cython._zmq

from hootbus.frames import event as _event
from hootbus.frames import protocol as _protocol

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_GET_BUFFER
from libc.errno cimport EAGAIN, EINTR
from libc.stdint cimport uint64_t, uintptr_t
from libc.string cimport memcmp, memcpy, memset

cdef extern from *:
    """
    #include <errno.h>
    #ifndef EHOSTUNREACH
    #define EHOSTUNREACH 113
    #endif
    /* zmq_msg_t is an opaque block of 64 bytes, aligned as a pointer (zmq.h, stable since 4.1). */
    typedef union { unsigned char bytes[64]; void *alignment; } hoot_msg_t;
    """
    ctypedef struct hoot_msg_t:
        pass
    int EHOSTUNREACH

ctypedef int (*msg_init_t)(hoot_msg_t *) noexcept nogil
ctypedef int (*msg_init_size_t)(hoot_msg_t *, size_t) noexcept nogil
ctypedef int (*msg_recv_t)(hoot_msg_t *, void *, int) noexcept nogil
ctypedef int (*msg_send_t)(hoot_msg_t *, void *, int) noexcept nogil
ctypedef int (*msg_close_t)(hoot_msg_t *) noexcept nogil
ctypedef int (*msg_more_t)(hoot_msg_t *) noexcept nogil
ctypedef int (*msg_copy_t)(hoot_msg_t *, hoot_msg_t *) noexcept nogil
ctypedef void *(*msg_data_t)(hoot_msg_t *) noexcept nogil
ctypedef size_t (*msg_size_t)(hoot_msg_t *) noexcept nogil
ctypedef int (*errno_t)() noexcept nogil

cdef object _library = ctypes.CDLL(zmq.backend.cython._zmq.__file__)

cdef void *_address(str name) except NULL:
    return <void *><uintptr_t>ctypes.cast(getattr(_library, name), ctypes.c_void_p).value

cdef msg_init_t msg_init = <msg_init_t>_address("zmq_msg_init")
cdef msg_init_size_t msg_init_size = <msg_init_size_t>_address("zmq_msg_init_size")
cdef msg_recv_t msg_recv = <msg_recv_t>_address("zmq_msg_recv")
cdef msg_send_t msg_send = <msg_send_t>_address("zmq_msg_send")
cdef msg_close_t msg_close = <msg_close_t>_address("zmq_msg_close")
cdef msg_more_t msg_more = <msg_more_t>_address("zmq_msg_more")
cdef msg_copy_t msg_copy = <msg_copy_t>_address("zmq_msg_copy")
cdef msg_data_t msg_data = <msg_data_t>_address("zmq_msg_data")
cdef msg_size_t msg_size = <msg_size_t>_address("zmq_msg_size")
cdef errno_t zmq_errno = <errno_t>_address("zmq_errno")

cdef int DONTWAIT = zmq.DONTWAIT
cdef int SNDMORE = zmq.SNDMORE
cdef int ETERM = zmq.ETERM
cdef bytes SIGNATURE = _protocol.SIGNATURE
cdef object _join = _event.join
cdef object _split = _event.split
cdef object RAW_BINARY = _protocol.ContentType.RAW_BINARY
cdef Py_ssize_t JOINED_MAX = _event.JOINED_MAX
cdef Py_ssize_t JOINED_BYTES = _event.JOINED_BYTES

# Where a header may stand, a frame of at most this many bytes is given as bytes: cheaper than a Frame, and no header is
# larger. It must not be less than any header's bound (protocol.py).
cdef size_t HEADER_BYTES = 1024
# Frames from here on in a message are received and let go. Enough is kept for `parse` to refuse it: more than any
# message may have.
cdef enum:
    STORED_MAX = 96

SENT = 0
FULL = 1
UNREACHABLE = 2

cdef class Frame:
    """One received frame: a read-only buffer that owns its ZeroMQ message and frees it with its last reference."""

    cdef hoot_msg_t message
    cdef bint open

    def __cinit__(self):
        msg_init(&self.message)
        self.open = True

    def __dealloc__(self):
        if self.open:
            msg_close(&self.message)

    def __len__(self):
        return msg_size(&self.message)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, msg_data(&self.message), <Py_ssize_t>msg_size(&self.message), 1, flags)

    def __repr__(self):
        return f"<Frame of {msg_size(&self.message)} bytes>"

    def __reduce__(self):
        raise TypeError("a Frame is memory of this process; send bytes(frame) instead")

    @property
    def address(self):
        """Where the bytes lie, for checks of alignment."""
        return <uintptr_t>msg_data(&self.message)


cdef class Wire:
    """A socket's whole messages, received and sent in one call each. It owns the socket: close it here.

    Frames of a HOOT01 message that may be headers are bytes; the body and the attachments are Frames. On the sockets
    that carry events (SUB, PUB and their X kinds) the third frame, the body, is the Frame.
    """

    cdef void *handle
    cdef Py_ssize_t start
    cdef Py_ssize_t held
    cdef readonly object socket

    def __init__(self, socket not None):
        self.socket = socket
        self.handle = <void *><uintptr_t>socket.underlying
        kind = socket.type
        self.start = 1 if kind == zmq.ROUTER else 0
        self.held = 2 if kind in (zmq.SUB, zmq.PUB, zmq.XSUB, zmq.XPUB) else -1

    def close(self, linger=None):
        """Closes the socket; `linger` in milliseconds."""
        self.handle = NULL
        self.socket.close(linger)

    def receive(self):
        """The frames of the next message, or None if there is none now. Never blocks."""
        cdef Frame frame = Frame.__new__(Frame)
        cdef list frames
        cdef Py_ssize_t held = self.held
        cdef Py_ssize_t count = 0
        cdef size_t size
        cdef int more
        cdef int reason
        if self.handle == NULL:
            raise zmq.ZMQError(zmq.ENOTSOCK)
        while msg_recv(&frame.message, self.handle, DONTWAIT) < 0:
            reason = zmq_errno()
            if reason == EAGAIN:
                return None
            # A signal is no answer: who hears None waits for the socket's edge-triggered descriptor, perhaps in vain.
            if reason != EINTR:
                raise _error(reason)
        frames = []
        while True:
            more = msg_more(&frame.message)
            size = msg_size(&frame.message)
            if held < 0 and count >= self.start and size == 6 and (
                memcmp(msg_data(&frame.message), PyBytes_AS_STRING(SIGNATURE), 6) == 0
            ):
                held = count + 6
            if count < STORED_MAX:
                if size <= HEADER_BYTES and (held < 0 or count < held or count == held + 1):
                    frames.append(PyBytes_FromStringAndSize(<char *>msg_data(&frame.message), <Py_ssize_t>size))
                    if not more:
                        return frames
                    # The Frame is used again for the next part: receiving into it closes what it held.
                else:
                    frames.append(frame)
                    if not more:
                        return frames
                    frame = Frame.__new__(Frame)
            elif not more:
                return frames
            count += 1
            # The parts of a message arrive together, so the next one is there.
            while msg_recv(&frame.message, self.handle, DONTWAIT) < 0:
                reason = zmq_errno()
                if reason != EINTR:
                    raise _error(reason)

    def send(self, list frames not None):
        """Queues one message; SENT, or FULL (the peer's pipe) or UNREACHABLE (no such peer), with nothing sent."""
        cdef hoot_msg_t parts[STORED_MAX]
        cdef Py_ssize_t count = len(frames)
        cdef Py_ssize_t ready = 0
        cdef Py_ssize_t i
        cdef int flags
        cdef int reason
        if self.handle == NULL:
            raise zmq.ZMQError(zmq.ENOTSOCK)
        if not 0 < count <= STORED_MAX:
            raise ValueError(f"a message of {count} frames; 1 to {STORED_MAX} can be sent")
        # All parts are made before the first is sent: a message that has begun must be finished.
        try:
            for i in range(count):
                _fill(&parts[i], frames[i])
                ready += 1
        except BaseException:  # cleaned up after and raised again
            for i in range(ready):
                msg_close(&parts[i])
            raise
        for i in range(count):
            flags = DONTWAIT | SNDMORE if i + 1 < count else DONTWAIT
            while msg_send(&parts[i], self.handle, flags) < 0:
                reason = zmq_errno()
                if reason == EINTR:
                    continue
                for i in range(i, count):
                    msg_close(&parts[i])
                if reason == EAGAIN:
                    return FULL
                if reason == EHOSTUNREACH:
                    return UNREACHABLE
                raise _error(reason)
        return SENT


cdef object _error(int reason):
    """The exception pyzmq would raise."""
    return zmq.ContextTerminated() if reason == ETERM else zmq.ZMQError(reason)


cdef int _share(hoot_msg_t *part, Frame frame) except -1:
    msg_init(part)
    if msg_copy(part, &frame.message) < 0:
        msg_close(part)
        raise zmq.ZMQError(zmq_errno())
    return 0


cdef int _fill(hoot_msg_t *part, object frame) except -1:
    """Makes the part for a frame: a received Frame is shared, anything else is copied once."""
    cdef Py_buffer view
    cdef Py_buffer *buffer
    cdef Frame whole
    if PyBytes_CheckExact(frame):
        if msg_init_size(part, <size_t>PyBytes_GET_SIZE(frame)) < 0:
            raise MemoryError()
        memcpy(msg_data(part), PyBytes_AS_STRING(frame), <size_t>PyBytes_GET_SIZE(frame))
        return 0
    if type(frame) is Frame:
        return _share(part, <Frame>frame)
    if type(frame) is memoryview and type(frame.obj) is Frame:
        # What a handler has been given as `raw` and gives back: the whole of what was received goes on as it is.
        whole = <Frame>frame.obj
        buffer = PyMemoryView_GET_BUFFER(frame)
        if buffer.buf == msg_data(&whole.message) and <size_t>buffer.len == msg_size(&whole.message):
            return _share(part, whole)
    PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
    try:
        if msg_init_size(part, <size_t>view.len) < 0:
            raise MemoryError()
        memcpy(msg_data(part), view.buf, <size_t>view.len)
    finally:
        PyBuffer_Release(&view)
    return 0


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Part:
    """A piece of a received body: a read-only buffer that keeps the whole as long as it lives."""

    cdef object whole
    cdef const unsigned char *data
    cdef Py_ssize_t size

    def __len__(self):
        return self.size

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, <void *>self.data, self.size, 1, flags)

    def __repr__(self):
        return f"<Part of {self.size} bytes>"

    def __reduce__(self):
        raise TypeError("a Part is memory of this process; send bytes(part) instead")


# Joined events are what a bus carries when it is busiest, at about a microsecond of CPU each from end to end. Per event,
# `join` takes 5 ns where `event.join` takes 190, `split` 13 where `event.split` takes 250 (50 of them for a memoryview,
# which is why there are Parts), and `Run.follow` 70 where `event.Run.follow` takes several hundred.


def join(list bodies not None):
    """As `event.join`."""
    cdef Py_ssize_t size = 0
    cdef unsigned char *at
    cdef object body
    for body in bodies:
        if not PyBytes_CheckExact(body):
            return _join(bodies)
        size += 8 + _whole_words(PyBytes_GET_SIZE(body))
    joined = PyBytes_FromStringAndSize(NULL, size)
    at = <unsigned char *>PyBytes_AS_STRING(joined)
    for body in bodies:
        size = PyBytes_GET_SIZE(body)
        _write_little(at, <uint64_t>size)
        memcpy(at + 8, PyBytes_AS_STRING(body), <size_t>size)
        memset(at + 8 + size, 0, <size_t>(_whole_words(size) - size))
        at += 8 + _whole_words(size)
    return joined


def split(body, Py_ssize_t count):
    """As `event.split`, and with its words: what is not joined as it should be is left to it."""
    cdef object whole = memoryview(body)
    cdef const unsigned char *at = <const unsigned char *>PyMemoryView_GET_BUFFER(whole).buf
    cdef Py_ssize_t left = PyMemoryView_GET_BUFFER(whole).len
    cdef list parts = []
    cdef uint64_t size
    cdef Part part
    for _ in range(count):
        if left < 8:
            return _split(body, count)
        size = _little(at, 8)
        at += 8
        left -= 8
        # In two steps, as a size near 2^64 has no whole words.
        if size > <uint64_t>left or _whole_words(<Py_ssize_t>size) > left:
            return _split(body, count)
        part = Part.__new__(Part)
        part.whole = whole
        part.data = at
        part.size = <Py_ssize_t>size
        parts.append(part)
        at += _whole_words(part.size)
        left -= _whole_words(part.size)
    if left:
        return _split(body, count)
    return parts


cdef Py_ssize_t _whole_words(Py_ssize_t size) noexcept:
    return (size + 7) & ~<Py_ssize_t>7


cdef uint64_t _little(const unsigned char *data, int size) noexcept:
    cdef uint64_t value = 0
    while size:
        size -= 1
        value = value << 8 | data[size]
    return value


cdef void _write_little(unsigned char *at, uint64_t value) noexcept:
    cdef int i
    for i in range(8):
        at[i] = <unsigned char>(value >> 8 * i & 0xFF)


@cython.final
cdef class Run:
    """As `event.Run`."""

    cdef readonly str name
    cdef readonly bytes topic
    cdef readonly object content_type
    cdef readonly object schema_id
    cdef readonly object time_ns
    cdef readonly list bodies
    cdef readonly Py_ssize_t size
    cdef public Py_ssize_t room

    def __init__(self, str name, bytes topic, content_type, schema_id, time_ns, bytes body):
        self.name = name
        self.topic = topic
        self.content_type = content_type
        self.schema_id = schema_id
        self.time_ns = time_ns
        self.bodies = [body]
        self.size = len(body)

    def follow(self, name, body, schema_id):
        """As `event.Run.follow`."""
        return (
            self.room > 0
            and PyBytes_CheckExact(body)
            and self.content_type is RAW_BINARY
            and name == self.name
            and schema_id == self.schema_id
            and self._add(<bytes>body)
        )

    def add(self, bytes body not None):
        """As `event.Run.add`."""
        return self._add(body)

    cdef bint _add(self, bytes body):
        cdef Py_ssize_t size = self.size + PyBytes_GET_SIZE(body)
        if size > JOINED_BYTES or len(self.bodies) >= JOINED_MAX:
            return False
        self.bodies.append(body)
        self.size = size
        self.room -= 1
        return True
