"""That `tools/documents --check` sees what it is there for."""

import re
import shutil
from pathlib import Path

import pytest

from . import articles, grants, reasons, settings

ROOT = Path(__file__).resolve().parents[2]
ERRORS = "Sources/Tenancy/Model/TenancyError.swift"


@pytest.fixture
def copy(tmp_path):
    """What is read of this repository, to be damaged."""
    shutil.copytree(ROOT / "Sources", tmp_path / "Sources", ignore=shutil.ignore_patterns("Generated", "*.c", "*.h"))
    (tmp_path / "proto").symlink_to(ROOT / "proto")
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def change(file: Path, text: str, other: str):
    before = file.read_text()
    assert before.count(text) == 1
    file.write_text(before.replace(text, other))


def test_a_new_setting_needs_a_meaning(copy):
    change(copy / "Sources/tenantd/HTTPSettings.swift", 'settings.boolean("allow_remote")',
           'settings.boolean("allow_remotes")')
    with pytest.raises(articles.Problem, match="http.allow_remote, http.allow_remotes"):
        settings.table(copy)


def test_a_setting_that_is_read_in_a_new_place(copy):
    (copy / "Sources/tenantd/More.swift").write_text('let x = try settings.boolean("more")')
    with pytest.raises(articles.Problem, match="read elsewhere: more"):
        settings.table(copy)


def test_defaults_and_ranges_are_those_of_the_code(copy):
    table = settings.table(copy)
    assert "| `drain_seconds` | 0 to 3,600 | 30 |" in table
    change(copy / "Sources/tenantd/Configuration.swift", "var drainSeconds = 30", "var drainSeconds = 31")
    change(copy / "Sources/tenantd/Configuration.swift", 'integer("drain_seconds", in: 0...3600)',
           'integer("drain_seconds", in: 0...7200)')
    table = settings.table(copy)
    assert "| `drain_seconds` | 0 to 7,200 | 31 |" in table
    assert articles.update(copy, "Configuration", "settings", table, True)


def test_limits_are_those_of_the_table_of_the_runtime(copy):
    table = settings.table(copy)
    assert "| `handler_stall_milliseconds` | 1 to 60,000 | 1,000 |" in table
    assert "| `connection_age_seconds` | 1 to 1,000,000 | none |" in table
    file = copy / "Sources/TenancyRPCServer/Server/ServerLimits+Settings.swift"
    change(file, '"continuations", \\.maximumContinuations, 1...1000', '"continuations", \\.resetsPerSecond, 2...4')
    assert "| `continuations` | 2 to 4 | 1,000 |" in settings.table(copy)
    change(file, '"continuations"', '"frames"')
    with pytest.raises(articles.Problem, match="limits.continuations, limits.frames"):
        settings.table(copy)
    change(file, ".resetsPerSecond, 2...4", ".resetsPerSecond, some")
    with pytest.raises(articles.Problem, match="can't be read"):
        settings.table(copy)


def test_a_reason_needs_a_meaning_and_a_use(copy):
    declaration = '  public static let roleExists = Self("ROLE_EXISTS")\n'
    change(copy / ERRORS, declaration, f'{declaration}\n  public static let odd = Self("ODD")\n')
    with pytest.raises(articles.Problem, match="ODD has no meaning"):
        reasons.table(copy)
    change(copy / ERRORS, "  public static let odd", "  /// Odd.\n  public static let odd")
    with pytest.raises(articles.Problem, match="nothing is refused with: ODD"):
        reasons.table(copy)


def test_laws(copy):
    assert articles.laws(copy) == []
    with (copy / "README.md").open("a") as readme:
        readme.write("[a](nowhere.md) [b](#nowhere)\n" + "\n" * 150 + "x" * 121 + "\n")
    said = "\n".join(articles.laws(copy))
    for problem in ("more than 150", "there is no nowhere.md", "there is no #nowhere", "longer than 120"):
        assert problem in said


def test_docc_warns_of_a_link_that_leads_nowhere(copy):
    assert articles.convert(copy) == []
    with (copy / articles.CATALOG / "TLS.md").open("a") as article:
        article.write("\n<doc:Nowhere>\n")
    assert "Nowhere" in articles.convert(copy)[0]


def test_the_article_on_calling_shows_what_is_tested():
    article = (ROOT / articles.CATALOG / "Calling.md").read_text()
    tested = (ROOT / "Tests/TenancyClientTests/TokenSourceTests.swift").read_text()
    lines = "".join(line.strip() for line in tested.splitlines())
    shown = re.findall(r"^```swift\n(.*?)^```$", article, re.M | re.S)
    assert len(shown) == 2
    for example in shown:
        assert "".join(line.strip() for line in example.splitlines()) in lines


def test_the_table_of_methods_is_that_of_the_declarations(copy):
    rows = [row for row in grants.table(copy).splitlines() if "/" in row.split(" | ")[0]]
    assert len(rows) == sum(file.read_text().count("\n  rpc ") for file in (ROOT / "proto/tenancy/v1").glob("*.proto"))
    assert len({row.count("|") for row in rows}) == 1
    held = {row.split(" | ")[0][2:]: row.split(" | ")[2:] for row in rows}
    assert held["TenantManager/PurgeTenant"] == ["yes", *[""] * 6, " |"]  # Whatever tenants give.
    assert all(cell == "yes" for cell in held["Identity/WhoAmI"][:-1])
    change(copy / grants.BUILT_IN, '"tenancy.groups:*", ', "")
    assert grants.table(copy) != grants.table(ROOT)


def test_roles_that_are_written_otherwise(copy):
    change(copy / grants.RULES, '"resolver": permissions([', '"resolver": some([')
    with pytest.raises(articles.Problem, match="roles"):
        grants.table(copy)


def test_the_article_on_data_shows_what_is_tested():
    article = (ROOT / articles.CATALOG / "DataIsolation.md").read_text()
    tested = (ROOT / "Tests/TenancyDataTests/ExampleTests.swift").read_text()
    shown = re.findall(r"^```swift\n(.*?)^```$", article, re.M | re.S)
    assert shown[0] in tested
