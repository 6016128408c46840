"""The pytest plugin, in sessions of pytest of its own."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from support.tree import pyproject

pytest_plugins = ["pytester"]

PLUGIN = "hubbub.transports.pytest_plugin"

# Where hubbub is installed anew its plugin is there anyway, and can't be loaded twice.
ARGUMENTS = ("-p", "no:hubbub", "-p", PLUGIN, "-p", "no:cacheprovider")

FAILING = """
    def test_it(simulated_hub):
        hub = simulated_hub()
        hub.client(name="ann").subscribe("room.lobby")
        hub.publish("room.lobby", "hi")
        assert hub.seed < 0

    def test_without(request):
        assert not request.fixturenames
"""


def seeds(result: pytest.RunResult) -> list[int]:
    """The seeds that a report tells."""
    return [
        int(found) for found in re.findall(r"--hubbub-seed=(\d+) replays it", str(result.stdout))
    ]


def test_the_plugin_is_an_entry_point() -> None:
    """pytest finds it once hubbub is installed."""
    assert pyproject()["project"]["entry-points"]["pytest11"] == {"hubbub": PLUGIN}


def test_the_plugin_is_light() -> None:
    """Loading it loads no loop, no Hypothesis, and nothing of a hub."""
    code = f"import pytest, sys; before = set(sys.modules); import {PLUGIN}; print(*set(sys.modules) - before)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert set(answer.stdout.split()) == {"hubbub", "hubbub.transports", PLUGIN}


def test_a_test_talks_to_its_hub(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fixture makes hubs with users' hooks, and needs no loop."""
    pytester.makepyfile(
        """
        import sys
        from hubbub.core import External, Grant, HubConfig
        from hubbub.transports.hooks import Hooks, Refuse
        from hubbub.transports.simulated import Network
        from hubbub.transports.pytest_plugin import MakeHub

        hooks = Hooks()

        @hooks.on_publish("room.*")
        async def calm(publishing):
            if publishing.message.isupper():
                raise Refuse("shouting", "Please don't")

        def test_it(simulated_hub: MakeHub) -> None:
            hub = simulated_hub(
                HubConfig(auth=External()),
                hooks=hooks,
                authenticate=lambda token: Grant(user=token, read=(">",), write=(">",)),
                network=Network(latency=(0.1, 0.2)),
                hook_delay=(0.5, 0.5),
                seed=7,
            )
            assert hub.seed == 7
            ann, bob = hub.client(token="ann"), hub.client(name="bob")
            ann.subscribe("room.lobby")
            assert bob.publish("room.lobby", "HI")["code"] == "shouting"
            bob.publish("room.lobby", "hi")
            ann.expect("chat", sender="bob", message="hi")
            assert hub.now > 1
            assert simulated_hub().hub is not hub.hub
            assert not {"asyncio", "trio", "anyio", "hypothesis.stateful"} & set(sys.modules)
        """
    )
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins import loops
    result = pytester.runpytest_subprocess("-p", PLUGIN)
    result.assert_outcomes(passed=1)


def test_a_failure_tells_its_seed(pytester: pytest.Pytester) -> None:
    """The report of a failed test has the seed and what happened; one without a hub has neither."""
    pytester.makepyfile(FAILING)
    first, second = (pytester.runpytest_inprocess(*ARGUMENTS) for _ in range(2))
    first.assert_outcomes(failed=2)
    first.stdout.fnmatch_lines(["*simulated hub*", "seed *", "0.000 ann connects to /?name=ann"])
    first.stdout.fnmatch_lines(["0.000 the server publishes on room.lobby: 'hi'"])
    assert len(seeds(first)) == 1
    assert seeds(first) == seeds(second)


def test_the_seed_is_an_option(pytester: pytest.Pytester) -> None:
    """A seed holds for all tests; a random one is told; what is none is refused."""
    pytester.makepyfile(FAILING)
    result = pytester.runpytest_inprocess(*ARGUMENTS, "--hubbub-seed=1234")
    result.stdout.fnmatch_lines(["hubbub: seed 1234"])
    assert seeds(result) == [1234]
    result = pytester.runpytest_inprocess(*ARGUMENTS, "--hubbub-seed=random")
    (seed,) = seeds(result)
    result.stdout.fnmatch_lines([f"hubbub: seed {seed}"])
    result = pytester.runpytest_inprocess(*ARGUMENTS, "--hubbub-seed=x")
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'x': give a whole number, or 'random'"])


def test_each_test_has_its_own_seed(pytester: pytest.Pytester) -> None:
    """Two tests differ, also where one fixture of theirs makes the hub; hubs of one test do not."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def hub(simulated_hub):
            return simulated_hub()

        seeds = set()

        @pytest.mark.parametrize("turn", range(5))
        def test_it(hub, simulated_hub, turn):
            assert hub.seed == simulated_hub().seed
            seeds.add(hub.seed)

        def test_all():
            assert len(seeds) == 5
        """
    )
    pytester.runpytest_inprocess(*ARGUMENTS).assert_outcomes(passed=6)


def test_it_can_be_used_with_hypothesis(pytester: pytest.Pytester) -> None:
    """A property may take the fixture, and the report is of the smallest example."""
    pytester.makepyfile(
        """
        from hypothesis import Phase, given, settings, strategies as st
        from hubbub.core.strategies import schedules

        PHASES = [Phase.generate, Phase.shrink]
        pings = st.just({"action": "ping"})

        @settings(database=None, derandomize=True, max_examples=20, phases=PHASES)
        @given(script=schedules(["ann", "bob"], request=pings, most=1))
        def test_it(simulated_hub, script):
            hub = simulated_hub()
            hub.play(script)
            assert not any(client.is_open for client in hub.clients.values())
        """
    )
    result = pytester.runpytest_inprocess(*ARGUMENTS)
    result.assert_outcomes(failed=1)
    told = str(result.stdout)
    assert "script=(Step(at=0.0, who='ann', action=Connect(token=None, name='ann'))," in told
    assert told.count("0.000 ann connects to") == 1


LOOPS = """
    import inspect
    import pytest

    def {name}(function, arguments):
        {run}

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(pyfuncitem):
        if not inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        names = pyfuncitem._fixtureinfo.argnames
        {name}(pyfuncitem.obj, {{name: pyfuncitem.funcargs[name] for name in names}})
        return True
"""


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("on_asyncio", "import asyncio; asyncio.run(function(**arguments))"),
        ("on_trio", "import trio; trio.run(lambda: function(**arguments))"),
    ],
)
def test_it_stands_beside_plugins_of_loops(pytester: pytest.Pytester, name: str, run: str) -> None:
    """A test that a loop runs, as plugins for asyncio and trio do, uses a hub as any other."""
    pytester.makeconftest(LOOPS.format(name=name, run=run))
    pytester.makepyfile(
        """
        import anyio

        async def test_it(simulated_hub):
            hub = simulated_hub()
            ann = hub.client(name="ann")
            await anyio.sleep(0)
            assert ann.call("nothing")["code"] == "unknown_call"
        """
    )
    pytester.runpytest_inprocess(*ARGUMENTS).assert_outcomes(passed=1)
