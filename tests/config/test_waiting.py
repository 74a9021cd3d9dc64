from ollamapy.config.waiting import SPIN_COUNT, worker_environment


def test_threads_sleep_soon_unless_the_user_chose_how_they_wait() -> None:
    assert worker_environment({"HOME": "/h"}) == {"HOME": "/h", "GOMP_SPINCOUNT": str(SPIN_COUNT)}
    for chosen in ({"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}):
        assert worker_environment(chosen) == chosen
