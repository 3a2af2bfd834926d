"""What strace and callgrind write is read as they mean it."""

from collections import Counter

from gate.counts import quiet_steps
from gate.instructions import read_profile
from gate.syscalls import read_trace
from gate.traffic import REQUESTS

TRACE = """\
1 read(3, ""..., 10) = 10
1 access("/hootbus-gate/begin", F_OK) = -1 ENOENT (No such file or directory)
1 clone3({flags=CLONE_VM|CLONE_THREAD} => {parent_tid=[0]}, 88 <unfinished ...>
2 poll([{fd=5}], 1, -1 <unfinished ...>
1 <... clone3 resumed>) = 2
2 <... poll resumed>) = 1 ([{fd=5, revents=POLLIN}])
1 access("/hootbus-gate/look", F_OK) = -1 ENOENT (No such file or directory)
1 access("/hootbus-gate/thread/1/client", F_OK) = -1 ENOENT (No such file or directory)
1 openat(AT_FDCWD, "/proc/self/task", O_RDONLY) = 9
2 sendto(7, ""..., 20, 0, NULL, 0) = 20
1 access("/hootbus-gate/step", F_OK) = -1 ENOENT (No such file or directory)
1 +++ exited with 0 +++
"""

PROFILE = """\
# callgrind format
desc: Trigger: Client Request: request
ob=/usr/lib/libpython3.11.so.1.0
fl=obmalloc.c
fn=PyObject_Malloc
10 7
cob=???
cfn=0x0000000004936730
calls=3 0
10 500
fn=(below main)'2
5 2
"""


def test_calls_are_counted_where_they_begin_and_for_the_role_that_made_them() -> None:
    (counts,) = read_trace(TRACE.splitlines(), REQUESTS[:1], warm_up=0).values()
    assert counts == {"client": {"clone3": 1, "libzmq's thread: poll": 1, "libzmq's thread: sendto": 1}}


def test_a_profile_has_the_instructions_of_each_function_alone_and_its_callers() -> None:
    profile = read_profile(PROFILE.splitlines())
    assert profile.mark == "request"
    assert profile.own == {"PyObject_Malloc": 7, "(below main)": 2}
    assert profile.calls == {"0x0000000004936730": {"PyObject_Malloc": 3}}


def test_steps_with_something_in_between_are_left_out() -> None:
    quiet, disturbed = Counter(work=64), Counter(work=64, heartbeat=9)
    assert quiet_steps([disturbed, quiet, disturbed, disturbed], per_step=32) == {"work": 2}
