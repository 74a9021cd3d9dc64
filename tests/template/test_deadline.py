from ollamapy.template.deadline import Deadline


def test_what_others_compute_meanwhile_is_not_counted() -> None:
    elapsed, computed = [0.0], [0.0]
    deadline = Deadline(2.0, lambda: elapsed[0], lambda: computed[0])
    elapsed[0], computed[0] = 60.0, 1.5
    assert not deadline.has_passed()
    elapsed[0], computed[0] = 60.4, 1.9
    assert not deadline.has_passed()
    elapsed[0], computed[0] = 61.0, 2.1
    assert deadline.has_passed()


def test_the_dear_clock_is_read_when_time_may_be_over() -> None:
    looks = []
    deadline = Deadline(2.0, lambda: 1.0, lambda: looks.append(1) or 0.0)
    assert not any(deadline.has_passed() for _ in range(100))
    assert len(looks) == 1
