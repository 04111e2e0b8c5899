"""What cannot be answered: one clear line for each thing that is wrong, exit code 2, nothing half written."""

import os
from pathlib import Path

import pytest

from tests.shell import LLAMA, refused, rows, run


@pytest.mark.parametrize("target", ["/nonexistent/a.csv", "/dev/full", "/proc/a.csv", "."])
def test_output_that_cannot_be_written(target: str) -> None:
    assert "cannot be written" in refused(f"max-batch {LLAMA} --seq 775 -o {target}") or target == "."


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert "No space left" in refused(f"max-batch {LLAMA} --seq 775 -o {target}")
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("max-batch", "Missing argument 'MODEL'"),
        ("max-batch llama-3.1-8b", "Missing argument 'HARDWARE'"),
        ("max-batch llama-3.1-8b h100-sxm extra", "extra argument"),
        ("max-bach a b", "unknown command 'max-bach'; did you mean max-batch?"),
        ("max-batch nope h100-sxm", "unknown model 'nope'"),
        ("max-batch lama-3.1-8b h100-sxm", "did you mean llama-3.1-8b"),
        ("max-batch llama-3.1-8b, h100-sxm", "an empty name"),
        ("max-batch llama-3.1-8b a100-60gb", "none of 60 GB in the catalog; it has a100-pcie-40gb (40 GB)"),
        ("max-batch llama-3.1-8b h100-sxm --seq 0", "seq: expected 1 to 1000000000, got 0"),
        ("max-batch llama-3.1-8b h100-sxm --seq -5", "seq: expected 1 to"),
        ("max-batch llama-3.1-8b h100-sxm --seq 1e30", "seq: expected 1 to"),
        ("max-batch llama-3.1-8b h100-sxm --seq 1.5", "expected a whole number, got 1.5"),
        ("max-batch llama-3.1-8b h100-sxm --seq many", "seq: 'many' is not a number"),
        ("max-batch llama-3.1-8b h100-sxm --seq 8k:1k:x2", "--seq: range start 8k is greater than end 1k"),
        ("max-batch llama-3.1-8b h100-sxm --interactivity -1", "interactivity: expected"),
        ("max-batch llama-3.1-8b h100-sxm --interactivity nan", "is not a number"),
        ("interactivity llama-3.1-8b h100-sxm --batch 0", "batch: expected 1"),
        ("max-batch llama-3.1-8b h100-sxm --mbu 1.5", "mbu: 1.5 is not a fraction"),
        ("max-batch llama-3.1-8b h100-sxm --mfu 0", "mfu: 0.0 is not a fraction"),
        ("max-batch llama-3.1-8b h100-sxm --util nan", "util: nan is not a fraction"),
        ("max-batch llama-3.1-8b h100-sxm --mbu x", "'x' is not a valid float"),
        ("max-batch llama-3.1-8b h100-sxm --reserve -1", "reserve: -1.0 is not"),
        ("max-batch llama-3.1-8b h100-sxm --reserve 80", "--reserve: it leaves nothing of the 80 GB of h100-sxm"),
        ("max-batch llama-3.1-8b h100-sxm --kv-block 0", "--kv-block: 0 is not"),
        ("max-batch llama-3.1-8b h100-sxm --assume optimistic", "--assume: invalid choice 'optimistic' (choose from roofline, bound, typical)"),
        ("max-batch llama-3.1-8b h100-sxm --overlap ful", "--overlap: invalid choice 'ful' (choose from full, net, op, none); did you mean full?"),
        ("max-batch llama-3.1-8b h100-sxm --network fast", "--network: invalid choice 'fast' (choose from bandwidth, ideal)"),
        ("max-batch llama-3.1-8b mi325x --capacity visible", "mi325x has no 'visible' figure; it has nominal 256 GB, binary"),
        ("max-batch llama-3.1-8b h100-sxm --weights fp9", "unknown dtype 'fp9'; did you mean fp8"),
        ("max-batch llama-3.1-8b h100-sxm --kv ''", "--kv: the value is empty"),
        ("max-batch llama-3.1-8b a100-sxm-80gb --compute fp8", "compute: a100-sxm-80gb has no 'fp8' peak; it has fp32, tf32"),
        ("max-batch llama-3.1-8b 8xh100-sxm --tp 3", "does not match the 8 devices"),
        ("max-batch qwen2.5-7b 8xh100-sxm --tp 8", "does not divide the 28 query heads"),
        ("max-batch llama-3.1-8b 8xh100-sxm --tp 0", "tp: expected 1"),
        ("max-batch llama-3.1-8b h100-sxm --set hardware.memory.bandwith_gb_s=1", "did you mean bandwidth_gb_s?"),
        ("max-batch llama-3.1-8b h100-sxm --set bandwidth=1", "write it as hardware.memory.bandwidth_gb_s=4000"),
        ("max-batch llama-3.1-8b h100-sxm --set model.blocks.blok.attention.heads=4", "did you mean block?"),
        ("max-batch llama-3.1-8b h100-sxm --set model.vocab=-1", "--set model.vocab: vocab: expected a number from 1"),
        ("max-batch llama-3.1-8b h100-sxm --set model.vocab=1:2", "is not a range"),
        ("max-batch llama-3.1-8b h100-sxm -f xml", "--format: invalid choice 'xml' (choose from table, csv, json, md)"),
        ("max-batch llama-3.1-8b h100-sxm --columns seq,max_bach", "unknown column 'max_bach'; did you mean max_batch?"),
        ("max-batch llama-3.1-8b h100-sxm --require max_batch", "--require: cannot parse 'max_batch'"),
        ("max-batch llama-3.1-8b h100-sxm --require 'max_batch>=many'", "'many' is not a number"),
        ("max-batch llama-3.1-8b h100-sxm --require 'limited_by>capacity'", "compare it with == or !="),
        ("max-batch llama-3.1-8b h100-sxm --no-such-option 1", "No such option"),
        ("max-batch /nonexistent/m.yaml h100-sxm", "cannot be read: No such file or directory"),
        ("max-batch llama-3.1-8b ./h.json", "not a roofcalc YAML file"),
        ("max-batch llama-3.1-8b h100-sxm --util 1e-310", "util: 1e-310 is not a fraction"),
        ("max-batch llama-3.1-8b h100-sxm --kv-block 1e10", "from 1 to 1,000,000,000"),
        ("max-batch llama-3.1-8b h100-sxm --compute fp7", "has no 'fp7' peak; did you mean fp"),
        ("max-batch llama-3.1-8b h100-sxm --columns ''", "unknown column ''"),
        ("max-batch llama-3.1-8b h100-sxm -f ''", "--format: invalid choice '' (choose from"),
        ("max-batch llama-3.1-8b h100-sxm -o ''", "--output: the file name is empty"),
        ("max-batch llama-3.1-8b h100-sxm --set hardware.name=x", "'name' cannot be overridden"),
        ("max-batch llama-3.1-8b h100-sxm --set hardware.memory.capacity_gb=1e400", "'1e400' is not a number"),
        ("max-batch llama-3.1-8b h100-sxm --set model.dtype=foo", "--set model.dtype: dtype: unknown dtype 'foo'"),
        ("max-batch llama-3.1-8b h100-sxm --set model.vocab=1:1M:1 --set model.hidden=1:1M:1", "combinations; at most 100,000"),
        ("ops llama-3.1-8b h100-sxm --seq 1:1M:1 --batch 1:1000:1", "rows of one model on one machine; at most 10,000,000"),
        (f"max-batch llama-3.1-8b {'9' * 5000}xh100-sxm", "expected 1 to 1000000 devices"),
        (f"max-batch llama-3.1-8b h100-sxm -o /tmp/{'x' * 300}", "cannot be written: File name too long"),
        (
            "max-batch 8xh100 llama-3.1-8b",
            "'8xh100' is hardware, not a model: commands take MODEL first, then HARDWARE (`roofcalc hardware show 8xh100`",
        ),
        ("models show h100-sxm", "(`roofcalc hardware show h100-sxm` shows it)"),
        ("max-batch llama-3.1-8b h100-sxm,llama-3.1-8b", "'llama-3.1-8b' is a model, not hardware"),
        ("hardware show llama-3.1-8b", "(`roofcalc models show llama-3.1-8b` shows it)"),
        ("max-batch llama-3.1-8b 8h100", "several devices are written 8xh100"),
        ("max-batch llama-3.1-8b 8h100-sxm", "several devices are written 8xh100-sxm"),
        ("max-batch llama-3.1-8b h100-sxm --seqq 1k", "No such option: --seqq; did you mean --seq"),
        ("max-batch llama-3.1-8b h100-sxm --zzz", "No such option: --zzz ("),
        ("interactivity llama-3.1-8b h100-sxm --users 4", "No such option: --users; did you mean --batch?"),
        ("max-batch llama-3.1-8b h100-sxm --users 4", "No such option: --users ("),  # it answers with their number
        ("interactivity llama-3.1-8b h100-sxm --qps 4", "No such option: --qps; did you mean --requests-per-second?"),
        ("interactivity llama-3.1-8b h100-sxm --rate 4", "No such option: --rate; did you mean --requests-per-second?"),
        ("memory llama-3.1-8b h100-sxm --context 4k", "No such option: --context; did you mean --seq?"),
        ("memory llama-3.1-8b h100-sxm --engine ollama", "--engine: 'ollama' is not known; for ollama give --engine llama.cpp; known: vllm"),
        ("memory llama-3.1-8b h100-sxm --engine mlx_lm", "for mlx_lm give --engine mlx"),
        ("max-batch llama-3.1-8b h100-sxm --draft 4", "give it too (--acceptance 0.7)"),
        ("max-batch llama-3.1-8b h100-sxm --acceptance 0.7", "give the number of tokens drafted per step too (--draft 4)"),
        ("max-batch llama-3.1-8b h100-sxm --draft 4 --acceptance 70", "acceptance: expected a rate from 0 to 1, got 70"),
        ("max-batch llama-3.1-8b h100-sxm --mbu 77.5", "(77.5 % is 0.775)"),
        ("hardware show nope", "unknown hardware 'nope'"),
        ("models show llama-3.1-8b,", "an empty name"),
        ("models sho llama-3.1-8b", "unknown command 'sho'; did you mean show?"),
        ("plot plan llama-3.1-8b h100-sxm -o a.svg", "`roofcalc plot` has no command 'plan'; commands: max-batch, interactivity"),
        ("explain cost", "`roofcalc explain` has no command 'cost'; commands: max-batch, interactivity, memory, prefill (`roofcalc cost --help`)"),
        ("plan", "Missing argument 'MODEL'; for example: roofcalc plan llama-3.1-405b h100-sxm"),
        ("fit", "Missing argument 'FILE'; for example: roofcalc fit "),
        ("max-batch llama-3.1-8b h100-sxm -o a.xlsx", "--output: cannot write a .xlsx file: write .csv, which spreadsheets open"),
        ("plan llama-3.1-8b h100-sxm -o a.PNG", "--output: cannot write a .png file: `roofcalc plot` draws"),
        ("explain memory llama-3.1-8b h100-sxm -o a.pdf", "--output: cannot write a .pdf file"),
        ("report llama-3.1-8b h100-sxm -o a.pdf", "--output: 'a.pdf' must end in .html or .htm; a browser prints the page"),
        ("frontier llama-3.1-8b 8xh100-sxm --tp 3", "no legal layout of llama-3.1-8b with tp 3"),
        ("frontier llama-3.1-8b 8xh100-sxm --disaggregated", "give --isl and --osl"),
        ("frontier llama-3.1-8b h100-sxm --devices 3:9", "devices: '3:9' is not a range such as"),
        ("plan llama-3.1-8b h100-sxm --requests-per-second 5", "--requests-per-second: give the tokens of a request too: --isl and --osl, or --mix"),
        ("plan llama-3.1-8b h100-sxm nope", "unknown hardware 'nope'"),
        ("plan h100-sxm llama-3.1-8b", "'h100-sxm' is hardware, not a model: commands take MODEL first"),
        ("plan llama-3.1-8b h100-sxm --least usd --usd-per-hour free", "--usd-per-hour: 'free' is not a number"),
    ],
)
def test_bad_input(line: str, complaint: str) -> None:
    assert complaint in refused(line)


def test_a_broken_file_harms_only_those_who_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "binary.yaml").write_bytes(b"\xff\x00")
    (folder / "dangling.yaml").symlink_to("/nonexistent")
    (folder / "loop.yaml").symlink_to(folder / "loop.yaml")
    os.mkfifo(folder / "fifo.yaml")
    (folder / "My_Model.yaml").write_text("name: My_Model\nlike: llama-3.1-8b\naliases: ['Big Model 3', other]\n")
    (folder / "qwen3-8b.yaml").write_text("name: qwen3-8b\nlike: qwen3-8b\ncontext: 1234\n")
    (folder / "odd.yaml").write_text("name: odd\nlike: llama-3.1-8b\nsources: 5\n")
    monkeypatch.setenv("ROOFCALC_PATH", f"{tmp_path}{os.pathsep}/nonexistent")
    for name in ("meta-llama/Llama-3.1-8B", "my-model", "MY MODEL", "Big Model 3"):
        assert len(rows(f"max-batch '{name}' h100-sxm --seq 1k")) == 1
    assert "did you mean" in refused("max-batch my-modell h100-sxm") and "unknown model '3'" in refused("max-batch 3 h100-sxm")
    assert {row["figure"]: row["value"] for row in rows("models show qwen3-8b")}["context"] == "1234"
    assert "ROOFCALC_PATH: /nonexistent is not a readable directory" in run("max-batch my-model h100-sxm").stderr
    for name, complaint in {
        "binary": "byte 0 is not UTF-8",
        "dangling": "No such file",
        "loop": "symbolic links",
        "fifo": "not a regular file",
        "odd": "expected a list, got 5",
    }.items():
        assert complaint in refused(f"max-batch {name} h100-sxm")
    listed = run("models list")
    assert listed.exit_code == 0 and "My_Model" in listed.stdout and listed.stderr.count("skipped: ") == 5


def test_every_problem_of_a_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: bad\nvendor: x\nmemory:\n  capacity_gb: big\n  bandwidth: 3\npeak_tflop_s: {fp9: 1}\n")
    lines = refused(f"max-batch llama-3.1-8b {path}").splitlines()
    assert [line.removeprefix(f"error: {path}:")[:2] for line in lines] == ["5:", "4:", "3:", "6:"]


def test_every_kind_of_layer_has_an_answer() -> None:
    for path in sorted((Path(__file__).parent.parent / "examples" / "models").glob("*.yaml")):
        for command in ("max-batch", "interactivity", "memory", "prefill"):
            result = run(f"{command} {path} 8xh200-sxm --seq 1k -f csv")
            assert result.exit_code == 0 and len(result.stdout.splitlines()) > 1, (path.name, command, result.stderr)
