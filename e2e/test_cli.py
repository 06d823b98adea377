"""The verbs as a script calls them: JSON on standard output, exit codes that mean something."""

import base64
import json

import pytest

from support.buckets import bucket, engine
from support.client import fetch
from support.tools import cutover, cutover_json
from support.waiting import eventually


@pytest.mark.parametrize("verb", ["run", "demo", "check", "plan", "explain", "set", "evacuate", "status", "keygen"])
def test_every_verb_has_help_with_an_example(verb):
    found = cutover(verb, "--help").stdout
    assert f"cutover {verb}" in found and "example" in found.lower()


def test_keygen_prints_one_key():
    assert len(base64.b64decode(cutover("keygen").stdout.strip(), validate=True)) >= 32
    assert cutover("keygen").stdout != cutover("keygen").stdout
    assert cutover_json("keygen")


def test_check_finds_every_problem_at_once(proxy):
    assert cutover_json("check", proxy.path)
    bad = proxy.path.with_name("bad.toml")
    bad.write_text("wrokers = 1\n" + proxy.text().replace("percent = 25", "pecrent = 25"))
    said = cutover("check", bad, code=1).stderr
    for word in ("pecrent", "`percent`", "wrokers", "`workers`", "hint:", "bad.toml:1:"):
        assert word in said, f"{word} is not in {said}"
    problems = json.dumps(cutover_json("check", bad, code=1))
    assert "pecrent" in problems and "wrokers" in problems


@pytest.mark.parametrize("after, code", [(60, 0), (25, 0), (10, 3)])
def test_plan_says_who_moves_and_its_exit_code_says_back(proxy, after, code):
    new = proxy.path.with_name("new.toml")
    new.write_text(proxy.text(percent=after))
    assert cutover_json("plan", proxy.path, new, code=code) is not None


def test_plan_tells_reshuffles_and_bad_files_apart(proxy):
    new = proxy.path.with_name("new.toml")
    new.write_text(proxy.text(app='salt = "other"\nepoch = 2'))
    cutover("plan", proxy.path, new, code=4)
    new.write_text("nonsense = true")
    cutover("plan", proxy.path, new, code=1)


def test_explain_and_the_proxy_agree(proxy):
    for number in range(20):
        user = f"user-{number}"
        told = cutover_json("explain", "--config", proxy.path, "--app", "portal", "--key", user, "/")
        assert told["engine"] == engine("portal", user, 25) == fetch(proxy.port, headers=[("cookie", f"uid={user}")]).text
        assert told["reason"] == "cohort"
        assert str(bucket("portal", user)) in json.dumps(told)
    told = cutover_json("explain", "--config", proxy.path, "--app", "portal", "/")
    assert (told["engine"], told["reason"]) == ("classic", "default")


def test_explain_over_http_agrees_too(proxy):
    status, text = proxy.admin("/api/v1/explain?app=portal&key=user-1&url=/")
    told = json.loads(text)
    assert (status, told["engine"], told["reason"]) == (200, engine("portal", "user-1", 25), "cohort")
    for path in ("/api/v1/status", "/api/v1/config"):
        status, text = proxy.admin(path)
        assert status == 200 and json.loads(text)
    status, text = proxy.admin("/api/v1/nowhere")
    assert status == 404


def test_set_edits_the_file_in_place_and_the_proxy_follows(proxy):
    told = cutover_json("set", "portal", "40", "--config", proxy.path)
    assert told
    assert "percent = 40   # how far we are" in proxy.path.read_text()
    eventually(lambda: proxy.metrics().value("cutover_share_ratio", app="portal") == 0.4, 2, "the proxy follows")
    cutover("set", "portal", "140", "--config", proxy.path, code=None)
    assert "percent = 40 " in proxy.path.read_text(), "what cannot be is not written"
    assert cutover("set", "nobody", "1", "--config", proxy.path, code=None).returncode != 0


def test_status_tells_what_runs(proxy):
    told = cutover_json("status", "--admin", proxy.admin_url)
    assert "portal" in json.dumps(told)
    assert cutover("status", "--admin", proxy.admin_url).stdout


def test_usage_errors_are_exit_code_2():
    cutover("run", "--nonsense", code=2)
    cutover("nonsense", code=2)


def test_a_bad_file_is_fatal_at_start(tmp_path):
    path = tmp_path / "cutover.toml"
    path.write_text("nonsense = true")
    found = cutover("run", "--config", path, code=1)
    assert "nonsense" in found.stderr
