# cython: language_level=3, boundscheck=False, wraparound=False
"""The native door to libzmq: one call per multipart message, and frames that are read where they lie, at both ends.

The functions are those of the very libzmq that pyzmq has loaded (looked up through pyzmq's own extension module), so
that sockets and contexts are shared and nothing is linked. `fallback.py` has the same face on plain pyzmq.

Calls never block and keep the GIL: libzmq's non-blocking calls take less time than letting it go and back.
"""

import ctypes

import zmq
import zmq.backend.cython._zmq

from hootbus.frames import protocol as _protocol

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_GET_BUFFER
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.errno cimport EAGAIN, EINTR
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

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
ctypedef void (*give_back_t)(void *, void *) noexcept nogil
ctypedef int (*msg_init_data_t)(hoot_msg_t *, void *, size_t, give_back_t, void *) noexcept nogil
ctypedef int (*msg_recv_t)(hoot_msg_t *, void *, int) noexcept nogil
ctypedef int (*msg_send_t)(hoot_msg_t *, void *, int) noexcept nogil
ctypedef int (*msg_close_t)(hoot_msg_t *) noexcept nogil
ctypedef int (*msg_more_t)(hoot_msg_t *) noexcept nogil
ctypedef int (*msg_copy_t)(hoot_msg_t *, hoot_msg_t *) noexcept nogil
ctypedef void *(*msg_data_t)(hoot_msg_t *) noexcept nogil
ctypedef size_t (*msg_size_t)(hoot_msg_t *) noexcept nogil
ctypedef const char *(*msg_gets_t)(hoot_msg_t *, const char *) noexcept nogil
ctypedef int (*errno_t)() noexcept nogil

cdef object _library = ctypes.CDLL(zmq.backend.cython._zmq.__file__)

cdef void *_address(str name) except NULL:
    return <void *><uintptr_t>ctypes.cast(getattr(_library, name), ctypes.c_void_p).value

cdef msg_init_t msg_init = <msg_init_t>_address("zmq_msg_init")
cdef msg_init_size_t msg_init_size = <msg_init_size_t>_address("zmq_msg_init_size")
cdef msg_init_data_t msg_init_data = <msg_init_data_t>_address("zmq_msg_init_data")
cdef msg_recv_t msg_recv = <msg_recv_t>_address("zmq_msg_recv")
cdef msg_send_t msg_send = <msg_send_t>_address("zmq_msg_send")
cdef msg_close_t msg_close = <msg_close_t>_address("zmq_msg_close")
cdef msg_more_t msg_more = <msg_more_t>_address("zmq_msg_more")
cdef msg_copy_t msg_copy = <msg_copy_t>_address("zmq_msg_copy")
cdef msg_data_t msg_data = <msg_data_t>_address("zmq_msg_data")
cdef msg_size_t msg_size = <msg_size_t>_address("zmq_msg_size")
cdef msg_gets_t msg_gets = <msg_gets_t>_address("zmq_msg_gets")
cdef errno_t zmq_errno = <errno_t>_address("zmq_errno")

cdef int DONTWAIT = zmq.DONTWAIT
cdef int SNDMORE = zmq.SNDMORE
cdef int ETERM = zmq.ETERM
cdef bytes SIGNATURE = _protocol.SIGNATURE

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

# A frame of so many bytes that says it cannot change is lent to libzmq; a smaller one is copied as quickly (measured).
cdef enum:
    LENT_MIN = 64 * 1024
LENT_BYTES_MIN = LENT_MIN
# What is lent begins at a word: over inproc it is received where it lies, and Cap'n Proto is read in whole words.
cdef enum:
    WORD = 8

# What `_fill` did with a frame, if it is one to count.
cdef enum:
    SMALL = 0
    LENT = 1
    COPIED = 2


cdef extern from *:
    """
    /* A frame that libzmq reads where a program has it. The keeper holds the memory until libzmq has given it back. */
    typedef struct hoot_loan { struct hoot_loan *next; PyObject *keeper; } hoot_loan_t;

    static hoot_loan_t *hoot_given_back = NULL;

    /* What libzmq calls when it needs a loan no more, at any time and mostly in a thread of its own, with or without
       the GIL. So it touches nothing of Python's and waits for nobody: it pushes the loan onto a list. */
    static void hoot_give_back(void *data, void *hint) {
        hoot_loan_t *loan = (hoot_loan_t *)hint;
        (void)data;
        loan->next = __atomic_load_n(&hoot_given_back, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(
            &hoot_given_back, &loan->next, loan, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {}
    }

    /* The whole list at once, so that a push never meets a loan that was taken meanwhile. */
    static hoot_loan_t *hoot_take_given_back(void) {
        if (__atomic_load_n(&hoot_given_back, __ATOMIC_RELAXED) == NULL) return NULL;
        return __atomic_exchange_n(&hoot_given_back, NULL, __ATOMIC_ACQUIRE);
    }
    """
    ctypedef struct hoot_loan_t:
        hoot_loan_t *next
        PyObject *keeper
    void hoot_give_back(void *, void *) noexcept nogil
    hoot_loan_t *hoot_take_given_back() noexcept nogil

# Loans that were not yet found to be given back. Like all of this but the list of those, it is the GIL's to guard.
cdef Py_ssize_t _on_loan = 0


cdef int _copy(hoot_msg_t *part, const void *data, Py_ssize_t size) except -1:
    if msg_init_size(part, <size_t>size) < 0:
        raise MemoryError()
    memcpy(msg_data(part), data, <size_t>size)
    return COPIED if size >= LENT_MIN else SMALL


cdef int _lend(hoot_msg_t *part, object keeper, void *data, Py_ssize_t size) except -1:
    """Makes a part of the memory itself, and keeps that until libzmq gives it back."""
    global _on_loan
    cdef hoot_loan_t *loan
    if <uintptr_t>data % WORD:
        return _copy(part, data, size)
    loan = <hoot_loan_t *>malloc(sizeof(hoot_loan_t))
    if loan == NULL:
        raise MemoryError()
    loan.keeper = <PyObject *>keeper
    if msg_init_data(part, data, <size_t>size, hoot_give_back, loan) < 0:
        free(loan)
        raise MemoryError()
    Py_INCREF(keeper)
    _on_loan += 1
    return LENT


cdef void _take_back() noexcept:
    """Lets go of what libzmq has given back. That may run anybody's destructor, which may send and receive as well."""
    global _on_loan
    cdef hoot_loan_t *loan = hoot_take_given_back()
    cdef hoot_loan_t *given_back
    while loan != NULL:
        given_back = loan
        loan = loan.next
        _on_loan -= 1
        Py_XDECREF(given_back.keeper)
        free(given_back)


def on_loan():
    """How many frames of this process libzmq has by reference, and has not given back."""
    _take_back()
    return _on_loan


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


cdef int _fill(hoot_msg_t *part, object frame) except -1:
    """Makes the part for a frame: a received Frame is shared, what is large and read-only lent, all else copied once."""
    cdef Py_buffer view
    cdef Py_buffer *buffer
    cdef Frame whole
    if PyBytes_CheckExact(frame):
        if PyBytes_GET_SIZE(frame) >= LENT_MIN:
            return _lend(part, frame, PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame))
        return _copy(part, PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame))
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
        if view.readonly and view.len >= LENT_MIN:
            # A view of our own, as a program may release the one that it sends as soon as it has sent it.
            keeper = memoryview(frame)
            buffer = PyMemoryView_GET_BUFFER(keeper)
            return _lend(part, keeper, buffer.buf, buffer.len)
        return _copy(part, view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


cdef int _share(hoot_msg_t *part, Frame frame) except -1:
    msg_init(part)
    if msg_copy(part, &frame.message) < 0:
        msg_close(part)
        raise zmq.ZMQError(zmq_errno())
    return SMALL


cdef void _drop(hoot_msg_t *parts, Py_ssize_t first, Py_ssize_t end) noexcept:
    """Closes what was not sent, and lets go of what was lent for it."""
    for i in range(first, end):
        msg_close(&parts[i])
    _take_back()


cdef object _error(int reason):
    """The exception pyzmq would raise."""
    return zmq.ContextTerminated() if reason == ETERM else zmq.ZMQError(reason)


cdef bytes _property(hoot_msg_t *message, const char *name):
    """What its connection is known by: every frame of a message has it, a ROUTER's identity frame too."""
    cdef const char *value = msg_gets(message, name)
    return b"" if value == NULL else <bytes>value


def descriptor_of(frame):
    """The connection over which a held frame came, -1 if that is not known."""
    return int(_property(&(<Frame>frame).message, "__fd") or -1) if type(frame) is Frame else -1


cdef class Wire:
    """A socket's whole messages, received and sent in one call each. It owns the socket: close it here.

    Frames of a HOOT01 message that may be headers are bytes; the body and the attachments are Frames. On the sockets
    that carry events (SUB, PUB and their X kinds) the third frame, the body, is the Frame.

    `lent` and `copied` count the frames of LENT_BYTES_MIN and more that it was given to send. If it is `authenticated`,
    `principal` is who sent the message that was received last, the User-Id that the ZAP handler has given (b"" for none),
    and `descriptor` the connection over which it came, -1 if that is not known.
    """

    cdef void *handle
    cdef bint authenticated
    cdef readonly bytes principal
    cdef readonly int descriptor
    cdef Py_ssize_t start
    cdef Py_ssize_t held
    cdef readonly object socket
    cdef readonly Py_ssize_t lent
    cdef readonly Py_ssize_t copied

    def __init__(self, socket not None, authenticated=False):
        self.socket = socket
        self.authenticated = authenticated
        self.principal = b""
        self.descriptor = -1
        self.handle = <void *><uintptr_t>socket.underlying
        kind = socket.type
        self.start = 1 if kind == zmq.ROUTER else 0
        self.held = 2 if kind in (zmq.SUB, zmq.PUB, zmq.XSUB, zmq.XPUB) else -1

    def close(self, linger=None):
        """Closes the socket; `linger` in milliseconds."""
        self.handle = NULL
        self.socket.close(linger)
        _take_back()

    def __dealloc__(self):
        # A context that ends gives back the last loans when the Wire is closed already.
        _take_back()

    def receive(self):
        """The frames of the next message, or None if there is none now. Never blocks."""
        cdef Frame frame = Frame.__new__(Frame)
        cdef list frames
        cdef Py_ssize_t held = self.held
        cdef Py_ssize_t count = 0
        cdef size_t size
        cdef int more
        cdef int reason
        _take_back()
        if self.handle == NULL:
            raise zmq.ZMQError(zmq.ENOTSOCK)
        while msg_recv(&frame.message, self.handle, DONTWAIT) < 0:
            reason = zmq_errno()
            if reason == EAGAIN:
                return None
            # A signal is no answer: who hears None waits for the socket's edge-triggered descriptor, perhaps in vain.
            if reason != EINTR:
                raise _error(reason)
        if self.authenticated:
            self.principal = _property(&frame.message, "User-Id")
            # What ZMQ_SRCFD reads.
            self.descriptor = int(_property(&frame.message, "__fd") or -1)
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
        """Queues one message; SENT, or FULL (the peer's pipe) or UNREACHABLE (no such peer), with nothing sent.

        A frame of LENT_BYTES_MIN and more whose buffer is read-only, and begins at a word, is not copied: it must not
        change until it was delivered, through whatever else its memory can be written. It is held meanwhile, until
        the next message that any Wire of this process sends or receives, or looks for.
        """
        cdef hoot_msg_t parts[STORED_MAX]
        cdef Py_ssize_t count
        cdef Py_ssize_t ready = 0
        cdef Py_ssize_t i
        cdef int flags
        cdef int reason
        cdef int done
        _take_back()
        # Looked at from here on, as somebody's destructor may have closed this, or changed the list.
        count = len(frames)
        if self.handle == NULL:
            raise zmq.ZMQError(zmq.ENOTSOCK)
        if not 0 < count <= STORED_MAX:
            raise ValueError(f"a message of {count} frames; 1 to {STORED_MAX} can be sent")
        # All parts are made before the first is sent: a message that has begun must be finished.
        try:
            for i in range(count):
                done = _fill(&parts[i], frames[i])
                ready += 1
                self.lent += done == LENT
                self.copied += done == COPIED
        except BaseException:  # cleaned up after and raised again
            _drop(parts, 0, ready)
            raise
        for i in range(count):
            flags = DONTWAIT | SNDMORE if i + 1 < count else DONTWAIT
            while msg_send(&parts[i], self.handle, flags) < 0:
                reason = zmq_errno()
                if reason == EINTR:
                    continue
                _drop(parts, i, count)
                if reason == EAGAIN:
                    return FULL
                if reason == EHOSTUNREACH:
                    return UNREACHABLE
                raise _error(reason)
        return SENT
