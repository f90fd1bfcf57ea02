"""Overrides: quoted so that Hydra reads the same, and accepted from a file only where they can name no code."""

import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as some
from omegaconf import OmegaConf

from instseg.app.conf_folder import CONFIG_DIR
from instseg.core.errors import InstsegError
from instseg.core.overrides import LAUNCHER_KEYS, MULTIRUN, VALUE_KEYS, check_stored_overrides, quoted, typed_values

VALUES = ["/a/b", "a, b", "a=b", "[a] {b} (c)", "'a'", 'say "b"', "it's", "\\", '\\"', "a\\b\\\\c", "", "ä#%:$"]

ATTACKS = [
    # nodes that are added, replaced or deleted
    "+callbacks.x={_target_: os.system, command: id}", "+callbacks.x._target_=os.system", "++model._target_=os.system",
    "+x=1", "++seed=1", "~callbacks.last", "~dataset", "~seed=0", "+", "+=1",
    # the name of what is called, in any spelling
    "model._target_=os.system", "model={_target_: os.system}", "callbacks.last={_target_: os.system}",
    "callbacks={x: {_target_: os.system}}", "dataset.rename=[{_target_: os.system}]", "model._TARGET_=os.system",
    "model={_Target_: os.system}", "model={\\_target_: os.system}", "model={_\\target_: os.system}",
    "model={ _target_: os.system}", 'model={"_target_": os.system}', "model={'_target_': os.system}",
    "model={＿target＿: os.system}", "model._ｔａｒｇｅｔ_=os.system", 'x="{_target_: os.system}"', "x='_tar\\'get_'",
    "x={a._target_: os.system}", "x={a: {b: [{_target_: os.system}]}}",
    "callbacks.x={_target_: torch.utils.collect_env.run, command: id}", "callbacks.last={_ｔarget_: torch.load}",
    # other keys that Hydra acts on
    "model._args_=[1]", "model={_args_: [1]}", "model={_partial_: true}", "model={_recursive_: false}",
    "model={_convert_: all}", "model={a: {_x: 1}}", "_x=1", "a._b.c=1", "a={b/_c: 1}",
    # Hydra's own settings and config groups
    "hydra.searchpath=[file:///tmp/evil]", "hydra.job.chdir=true", "hydra.callbacks={x: 1}", "hydra.sweeper.x=1",
    "hydra.run.dir=/etc", "hydra.sweep.dir=/etc", "hydra.mode=RUN", "HYDRA.mode=RUN", "hydra=1", "hydra={mode: RUN}",
    "hydra/launcher=submitit_local", "hydra/sweeper=basic", "hydra.launcher.n_jobs=2",
    # interpolations
    "seed=${oc.env:HOME}", "seed=${seed}", 'cache_dir="${oc.env:HOME}"', "cache_dir='a${x}'",
    "cache_dir=$\\{oc.env:A\\}",
    "a=[${b}]", "a={b: ${c}}", "a=＄{b}", "cache_dir=$HOME",
    # options outside of our folders, packages, other groups
    "model=../../evil", "model=/tmp/evil", "model=pkg://evil", "model={a: 1}", "model@optimizer=small",
    "model@_global_=small", "dataset=[a,../b]", "model=", "model=small:evil", "x/y=z", "model/x=y",
    "my_group=../../evil", "my_group='../evil'", "my_group=/tmp/evil", "my_group={a: 1}", "Model=../evil", "x=y.z",
    # flags
    "--config-dir", "--config-dir=/tmp/evil", "-cd", "--config-path=/tmp", "--config-name=evil", "-m", "--multirun",
    "--experimental-rerun=/tmp/config.pickle", "--cfg=job", "/tmp/evil", "",
    # several values, functions
    "seed=1,2", "model=small,r18fpn", "seed=choice(1,2)", "seed=range(3)", "lr=interval(0,1)", "x=glob(*)",
    "x=str(a)", "x=json_str({a: 1})", "x=extend_list(a)",
    # what no person has typed
    "seed=1\nhydra.mode=RUN", "seed=1\0", "seed=\x1b[2J", "seed=1\u202e", "cache_dir=\u200b", "ѕeed=1", "a=\ud800",
    "x=(", "x=[1", "x=1]", "a.1b=", "x={a}", "x='a", "x=a'b'", "x=" + "[" * 5000, "x=" + "{a: " * 5000, "x=a=b", "x =1",
]  # fmt: skip

ATTACKS_ON_A_SWEEP = [
    *(attack for attack in ATTACKS if attack not in MULTIRUN and attack not in (
        "seed=1,2", "model=small,r18fpn", "seed=choice(1,2)", "seed=range(3)", "lr=interval(0,1)",
        "hydra.launcher.n_jobs=2",
    )),
    "hydra.launcher._target_=os.system", "hydra.launcher.setup=[id]", "hydra.launcher.pre_dispatch=__import__",
    "hydra.launcher.submitit_folder=/tmp", "hydra.launcher.temp_folder=/tmp", "hydra.launcher.backend=evil",
    "hydra.launcher.additional_parameters={wrap: id}", "hydra.launcher.n_jobs=[2]", "hydra.launcher.name=$(id)",
    'hydra.launcher.name="a\\"; id"', "hydra.launcher.partition='a b'", "hydra.launcher={n_jobs: 2}",
    "model=small,../evil", "my_group=a,../evil",
    "model=choice(small,../evil)", "model=glob(*)", "model=small,{_target_: os.system}",
    "x=1,{_target_: os.system}", "x=choice({_target_: os.system})", "x=choice({_a: 1},2)", "x=shuffle(1,2)",
    "x=sort(2,1)", "x=tag(a,${b})", "x=1,", "x=,1", "-mx", "-M",
]  # fmt: skip

LEGITIMATE = [
    "seed=0", "optimizer.lr=1e-3", "optimizer.betas=[0.8,0.9]", "optimizer.betas=[0.8, 0.999]", "trainer.devices=-1",
    "dataset.num_images={train: 8, val: 3, test: 3}", "dataset.num_images={train:8,val:3,test:3}", "a.b=[]", "a.b={}",
    "dataset.rename={traffic light: light, car-2: car}", "dataset.group_by=null", "compile=True", "trainer.devices=",
    "model=r50fpn_v2", "model='small'", 'dataset="auto"', "callbacks=[ema,early_stopping]", "debug=null",
    "dataset.root=/data/my images/2026-01-31", "dataset.root=/data/x", "cache_dir=C:\\data\\new",
    "dataset.root=*.jpg", "dataset.root=https://example.org/a.zip?b", "a.sizes.0=64", "model.box.score_threshold=.5",
    "trainer.precision=bf16-mixed", "dataset.parts=[{root: a}, {root: 'b, c'}]", "dataset.root='it\\'s'",
    *(quoted("dataset.root", value) for value in VALUES), "monitor.metric=val/segm_map/car", "a.x='hydra.mode=RUN'",
    "my_group=mine", "my_group=[mine,yours]",
]  # fmt: skip

LEGITIMATE_FOR_A_SWEEP = [
    *LEGITIMATE, "-m", "--multirun", "model=small,r18fpn", "optimizer.lr=1e-3, 5e-3", "seed=range(1,4)",
    "seed=range(start=1,stop=4)", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "optimizer.lr=choice(1)",
    "optimizer.lr=tag(log, interval(1e-4, 1e-2))", "model=choice(small,r18fpn)", "sweep=optuna", "launcher=slurm",
    "hydra.launcher.partition=gpu", "hydra.launcher.n_jobs=2", "hydra.launcher.gres=gpu:a100:4",
    "hydra.launcher.exclude='node-1,node-2'", "augmentation.sizes=[1,2],[3,4]",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_any_value_is_quoted_so_that_hydra_reads_the_same(value):
    override = quoted("key", value)
    assert str(OverridesParser.create().parse_override(override).value()) == value
    assert typed_values([override]) == {"key": value}


@pytest.mark.parametrize("text", ["'a\\'b'", '"a\\\\"', "'a\"b'", '"a\\b"'])
def test_other_quotes_are_read_as_hydra_reads_them(text):
    assert typed_values([f"key={text}"])["key"] == str(OverridesParser.create().parse_override(f"key={text}").value())


def test_flags_are_no_values_and_a_path_may_be_typed_without_quotes():
    assert typed_values(["-m", "--multirun", "resume=a, b=c", "+x=1"]) == {"resume": "a, b=c", "+x": "1"}


def test_what_is_no_group_is_a_value_of_train_yaml():
    keys = OmegaConf.load(CONFIG_DIR / "train.yaml").keys() - {"defaults", "hydra"}
    groups = {path.name for path in CONFIG_DIR.iterdir() if path.is_dir()}
    assert keys == set(VALUE_KEYS) and not groups & keys


# --- overrides that a file holds ---


@pytest.mark.parametrize("line", ATTACKS)
def test_a_line_of_a_file_that_does_more_than_choose_and_set_is_refused(line):
    with pytest.raises(InstsegError, match=r"^run/overrides\.yaml: .*: .*type it again on the command line"):
        check_stored_overrides(["seed=0", line], "run/overrides.yaml")


@pytest.mark.parametrize("line", ATTACKS_ON_A_SWEEP)
def test_so_is_a_line_of_the_command_of_a_sweep(line):
    with pytest.raises(InstsegError, match=r"^sweep\.json: .*: .*type it again on the command line"):
        check_stored_overrides(["-m", line], "sweep.json", is_sweep=True)


@pytest.mark.parametrize("line", [None, 1, 0.5, True, b"seed=0", ["seed=0"], {"seed": 0}])
def test_a_line_that_is_no_text_is_refused(line):
    with pytest.raises(InstsegError, match="expected overrides of the form key=value, found"):
        check_stored_overrides([line], "run/overrides.yaml")


@pytest.mark.parametrize("content", ["seed=0", b"seed=0", {"seed": 0}])
def test_a_file_that_holds_no_list_is_refused(content):
    with pytest.raises(InstsegError, match=r"run/overrides\.yaml: expected a list of overrides, found"):
        check_stored_overrides(content, "run/overrides.yaml")


@pytest.mark.parametrize("line", LEGITIMATE)
def test_options_and_plain_values_are_accepted_as_they_are_and_hydra_can_read_them(line):
    assert check_stored_overrides([line], "run/overrides.yaml") == [line]
    assert OverridesParser.create().parse_override(line).type.name == "CHANGE"


@pytest.mark.parametrize("line", LEGITIMATE_FOR_A_SWEEP)
def test_a_sweep_may_hold_what_it_tries_and_the_limits_of_its_launcher(line):
    assert check_stored_overrides([line], "sweep.json", is_sweep=True) == [line]


def test_a_long_line_is_named_by_its_beginning():
    with pytest.raises(InstsegError) as error:
        check_stored_overrides(["x=(" + "a" * 100_000], "run/overrides.yaml")
    assert len(str(error.value)) < 600


FRAGMENTS = some.sampled_from([
    "_target_", "_args_", "_", "${", "$", "{", "}", "[", "]", "(", ")", ",", ":", "=", " ", "\\", '"', "'", "a", "b.c",
    "hydra", "hydra.mode", "hydra.launcher.n_jobs", "/", "+", "~", "@", "-", "1", "1e-3", "null", "model", "choice(",
    "range(", "tag(", "glob(", "x: 1", "x: ", "＿", "ä", "\n", "\u200b", "?", ".",
])  # fmt: skip
LINES = some.one_of(
    some.lists(FRAGMENTS, max_size=9).map("".join),
    some.lists(FRAGMENTS, max_size=6).map(lambda parts: "a.b=" + "".join(parts)),
    some.tuples(some.sampled_from(LEGITIMATE_FOR_A_SWEEP), FRAGMENTS, some.integers(0, 60)).map(
        lambda parts: parts[0][: parts[2]] + parts[1] + parts[0][parts[2] :]
    ),
)


def keys_and_texts_of(value):
    """Every key and every text in a value that Hydra has parsed."""
    if isinstance(value, dict):
        return [str(key) for key in value] + [text for item in value.values() for text in keys_and_texts_of(item)]
    if isinstance(value, list):
        return [text for item in value for text in keys_and_texts_of(item)]
    return [str(value)]


@settings(max_examples=500, deadline=None)
@given(line=LINES, is_sweep=some.booleans())
def test_what_is_accepted_names_no_code_in_hydras_reading_either(line, is_sweep):
    try:
        check_stored_overrides([line], "file", is_sweep=is_sweep)
    except InstsegError:
        return
    assert "_target_" not in line and "${" not in line
    assert not re.match(r"hydra(?![\w-])", line) or line.partition("=")[0] in LAUNCHER_KEYS
    if is_sweep:
        return
    override = OverridesParser.create().parse_override(line)
    found = keys_and_texts_of(override.value())
    assert override.type.name == "CHANGE" and override.package is None and not override.is_sweep_override()
    assert not any("_target_" in text or "${" in text for text in found)
    if isinstance(override.value(), dict):
        assert not any(str(key).startswith("_") for key in override.value())
