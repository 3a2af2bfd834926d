"""How bad a world is: which faults, how often, and how tight the bounds are. Drawn from the seed."""

from random import Random
from typing import Final

import msgspec

from hootbus.bus.limits import Limits as BrokerLimits
from hootbus.workers.limits import Limits as PeerLimits

REQUEST_TIMEOUT_S: Final = 6.0
LINGER_S: Final = 1.0
# Between the last message and the moment a broken connection is noticed.
NOTICED_S: Final = 1.5
# Of one message: two of them are less than what makes a worker lost, with the heartbeat's interval.
LATENCY_MAX_S: Final = 0.4


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What happens in one world. Rates are per second, the rest are chances."""

    # Worse than TCP: single messages vanish, come twice, or overtake. What is certain then is less.
    hostile: bool
    lost: float
    doubled: float
    overtaken: float
    garbled: float
    # As TCP and operating systems have it.
    storm_s: float
    faults_per_s: float
    latency_s: float
    clients: int
    plain_clients: int
    services: int
    workers: int
    plain_workers: float
    dialled: float
    rogues: int
    asks_per_s: float
    # Whether svc0 takes what nobody else does.
    default_service: bool
    poisonous: float
    handler_s: float
    broker: BrokerLimits
    peer: PeerLimits


def draw(random: Random) -> Profile:
    """One of the many."""
    hostile = random.random() < 0.4
    tight = random.random() < 0.5
    storm_s = random.choice((2.0, 3.0, 6.0))
    services, workers = random.randint(1, 3), random.randint(1, 5)
    places = max(services, workers)
    return Profile(
        hostile=hostile,
        lost=random.choice((0, 0.01, 0.05)) if hostile else 0.0,
        doubled=random.choice((0, 0.02, 0.1)) if hostile else 0.0,
        overtaken=random.choice((0, 0.02, 0.1)) if hostile else 0.0,
        garbled=random.choice((0, 0.02)) if hostile else 0.0,
        storm_s=storm_s,
        faults_per_s=random.choice((0.0, 2.0, 5.0, 10.0)),
        latency_s=random.choice((0.0005, 0.005, 0.05)),
        clients=random.randint(1, 3),
        plain_clients=random.randint(0, 1),
        services=services,
        workers=workers,
        plain_workers=random.choice((0.0, 0.3)),
        dialled=random.choice((0.0, 0.0, 0.2)),
        rogues=random.choice((0, 0, 1, 2)),
        asks_per_s=random.choice((5.0, 15.0, 40.0)) * 2.0 / storm_s,
        default_service=random.random() < 0.2,
        poisonous=random.choice((0.0, 0.03)),
        handler_s=random.choice((0.01, 0.1, 0.5)),
        broker=BrokerLimits(
            requests=random.choice((6, 30)) if tight else 200_000,
            requests_per_client=random.choice((3, 12)) if tight else 10_000,
            queue_messages=random.choice((1, 4, 50)) if tight else 10_000,
            queue_bytes=random.choice((100, 2_000)) if tight else 1 << 20,
            held_bytes=random.choice((300, 4_000)) if tight else 1 << 20,
            # As many as come in peace, and little more.
            services=services + 1 if tight else 10_000,
            workers=places + random.randint(0, 1) if tight else 10_000,
            slots_per_worker=5,
            quarantined=random.choice((1, 1_000)),
            pending_workers=random.choice((2, 1_000)),
            comparisons=random.choice((1, 3, 1_000)),
            comparisons_per_client=random.choice((1, 16)),
            versions_per_service=random.choice((1, 2, 16)),
            compared_versions=random.choice((1, 256)),
            schema_bytes=100,
            held_schema_bytes=random.choice((60, 1 << 20)),
            request_timeout_s=REQUEST_TIMEOUT_S,
            drain_timeout_s=random.choice((0.3, 2.0)),
            lost_after_s=random.choice((2.0, 2.5, 60.0)),
            suspect_after_s=random.choice((1.2, 2.0)),
            linger_s=LINGER_S,
            schema_timeout_s=1.0,
            outcomes=5 if tight else 10_000,
            outcome_bytes=random.choice((60, 1 << 20)),
            quarantined_bytes=random.choice((60, 1 << 20)),
            clients=random.choice((1, 10_000)),
            outcome_age_s=storm_s / 4,
        ),
        peer=PeerLimits(
            requests=random.choice((4, 20)) if tight else 100_000,
            request_bytes=random.choice((400, 5_000)) if tight else 1 << 20,
            stream_window=random.choice((2, 256)),
            retries=random.choice((0, 2, 4)),
            # A little later than the broker's, whose word comes first if it comes.
            request_timeout_s=REQUEST_TIMEOUT_S + 1.0,
            comparison_timeout_s=REQUEST_TIMEOUT_S,
        ),
    )
