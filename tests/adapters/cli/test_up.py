import os
import signal


def worker_of(processes):
    return next(pid for pid, command in processes.items() if "celery -A pushtasks" in command)


def test_a_hard_kill_leaves_no_process_and_no_folder(start, offspring, gone):
    process, said = start("up", "--pool", "prefork", "--concurrency", "2")
    processes = offspring(process.pid)

    process.kill()

    assert any("valkey-server" in command for command in processes.values())
    assert sum("celery" in command for command in processes.values()) == 3
    gone(processes)
    assert not os.path.exists(said["dir"])  # noqa: PTH110


def test_ctrl_c_stops_everything(terminal, offspring, gone):
    running = terminal("up", columns=200)
    running.read_until("Ctrl-C stops everything.")
    processes = offspring(running.pid)

    running.type("\x03")

    assert running.wait() == 0
    assert "export PUSHTASKS_BROKER_URL=redis://127.0.0.1:" in running.text
    gone(processes)


def test_a_worker_that_dies_ends_it_with_the_end_of_its_log(start, offspring, gone):
    process, _ = start("up")
    processes = offspring(process.pid)

    os.kill(worker_of(processes), signal.SIGKILL)

    _, told = process.communicate(timeout=20)
    assert process.returncode == 1
    assert told.startswith("Error: the worker has ended; the end of its log:")
    assert "ready." in told
    gone(processes)


def test_a_worker_that_does_not_start_tells_why(pushtasks):
    ran = pushtasks("up", "--pool", "nonsense")

    assert ran.status == 1
    assert "'nonsense' is not one of" in ran.err
