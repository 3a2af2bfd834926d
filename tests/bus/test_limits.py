"""Limits that would make a broker spin or never answer are refused where they are set."""

import math

import pytest

from hootbus.bus.limits import Limits


@pytest.mark.parametrize(
    ("name", "value"),
    [("requests", -1), ("linger_s", math.nan), ("request_timeout_s", math.inf), ("heartbeat_interval_s", 0.0)],
)
def test_a_limit_that_is_none_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})  # type: ignore[arg-type]  # any field of it


def test_nothing_may_be_allowed_at_all() -> None:
    assert Limits(queue_messages=0, linger_s=0.0).queue_messages == 0
