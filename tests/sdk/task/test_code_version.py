from __future__ import annotations

import os
import threading

from tasksdk.task import code_version


def test_a_fork_reads_sources_whatever_a_thread_of_its_parent_did() -> None:
    with code_version._parsing:
        child = os.fork()
        if not child:
            code = 1
            try:
                code_version.source_of(test_a_fork_reads_sources_whatever_a_thread_of_its_parent_did)
                code = 0
            finally:
                os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def test_threads_read_sources_at_once() -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(code_version.source_of(os.path.join)), daemon=True)
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 20
    assert len(set(found)) == 1
