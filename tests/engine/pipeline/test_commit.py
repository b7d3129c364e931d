"""When a job takes a checkpoint."""

from __future__ import annotations

from pathlib import Path

from engine.contract.settings import CHECKPOINT_BYTES, CHECKPOINT_STREAM_S
from engine.pipeline.commit import JobCommits
from engine.pipeline.recorder import Recorder
from engine.pipeline.request import head_of
from engine.repository.transaction import Transaction
from tests.vaults import WEDDING, Bench


def test_a_checkpoint_is_due_only_when_something_was_read(bench: Bench, tmp_path: Path) -> None:
    """Metadata alone may come to as much; a checkpoint of it saves no reading, is not written, and so stays due."""
    request = bench.request(tmp_path)
    with bench.repository.vault(WEDDING) as vault:
        transaction = Transaction(vault, bench.entropy)
        head = head_of(request, wedding=vault.keys.wedding, parent="", started_ns=1)
        commits = JobCommits(vault, transaction, Recorder(transaction), job_id=request.job_id, head=head)
        assert not commits.is_due(1, 0.0)
        assert commits.is_due(1, CHECKPOINT_STREAM_S)
        transaction.add_stored(CHECKPOINT_BYTES)
        assert commits.is_due(1, 0.0)
        assert not commits.is_due(0, 0.0)
        assert not commits.is_due(0, CHECKPOINT_STREAM_S)
        transaction.abort()
