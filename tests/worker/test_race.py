from __future__ import annotations

from ollamapy.worker.race import RETRY, Race


def run(race: Race, costs: tuple[float, float], times: int) -> list[int]:
    ways = []
    for _ in range(times):
        ways.append(race.choose())
        race.learn(ways[-1], costs[ways[-1]])
    return ways


def test_both_ways_are_tried_and_the_faster_is_taken() -> None:
    assert run(Race(), (2.0, 1.0), 6) == [0, 1, 1, 1, 1, 1]
    assert run(Race(), (1.0, 2.0), 6) == [0, 1, 0, 0, 0, 0]


def test_the_slower_way_gets_another_chance_and_wins_once_it_is_faster() -> None:
    race = Race()
    assert set(run(race, (1.0, 3.0), RETRY)[2:]) == {0}
    late = run(race, (1.0, 0.1), 20 * RETRY)
    assert late[-1] == 1


def test_a_way_that_turns_slow_is_left() -> None:
    race = Race()
    run(race, (1.0, 0.5), 10)
    assert run(race, (1.0, 5.0), 10)[-1] == 0
