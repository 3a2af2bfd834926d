"""Events when a broker dies: publishers wait for the next one, and subscribers know how many they have lost."""

from chaos.stage import Stage
from hootbus.workers import Publisher, Subscriber


def test_over_the_deaths_of_brokers_what_was_received_and_lost_is_what_was_published(stage: Stage) -> None:
    broker = stage.start_broker()
    published = received = 0
    with Subscriber("jobs.", address=stage.address) as subscriber, Publisher(stage.address) as publisher:
        for _ in range(2):
            for _ in range(100):
                publisher.publish("jobs.done", published)
                published += 1
            stage.kill(broker)
            broker = stage.start_broker()
            # It waits for the new broker, which the subscriber may find later than this event.
            publisher.publish("jobs.done", published)
            published += 1
        while received + subscriber.lost < published:
            try:
                event = subscriber.receive(0.2)
            except TimeoutError:
                # Only a next event shows what is missing in front of it.
                publisher.publish("jobs.done", published)
                published += 1
                continue
            received += 1
            assert event.json() == received + subscriber.lost - 1
    assert received > 0
    assert received + subscriber.lost == published
