from __future__ import annotations

from ollamapy.worker.race import TRIALS, Race


def run(race: Race, costs: tuple[float, float], times: int) -> list[int]:
    ways = []
    for _ in range(times):
        ways.append(race.choose())
        race.learn(ways[-1], 3 * costs[ways[-1]], 3)
    return ways


def test_both_ways_are_tried_and_the_faster_is_taken() -> None:
    tried = [0] * TRIALS + [1] * TRIALS
    assert run(Race(), (2.0, 1.0), 2 * TRIALS + 4) == [*tried, 1, 1, 1, 1]
    assert run(Race(), (1.0, 2.0), 2 * TRIALS + 4) == [*tried, 0, 0, 0, 0]


def test_the_slower_way_gets_another_chance_and_wins_once_it_is_faster() -> None:
    race = Race(retry=10)
    assert set(run(race, (1.0, 3.0), 2 * TRIALS + 9)[2 * TRIALS :]) == {0}
    assert run(race, (1.0, 0.1), 400)[-1] == 1


def test_a_way_that_turns_slow_is_left() -> None:
    race = Race()
    run(race, (1.0, 0.5), 40)
    assert run(race, (1.0, 5.0), 20)[-1] == 0


def test_work_of_many_pieces_counts_as_many() -> None:
    race = Race()
    for seconds, work in ((1.0, 1), (4.0, 16)) * TRIALS:
        race.learn(1, seconds, work)
        race.learn(0, 1.0, 2)
    assert race.choose() == 1
