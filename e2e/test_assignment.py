"""Who gets which engine: the arithmetic, the ticket, and that widening only adds."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from support.buckets import engine
from support.client import ask_for_all, fetch
from support.proxy import keygen
from support.tools import curl

PAGE = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")


def test_20_000_users_stand_where_an_independent_computation_puts_them_and_widening_only_adds(start, nginx):
    proxy = start(nginx.classic, nginx.identity, percent=25, app='salt = "portal-2026"')
    users = [f"user-{number}" for number in range(20_000)]
    before = ask_for_all(proxy.port, users)
    assert before == {user: engine("portal-2026", user, 25) for user in users}
    share = sum(found == "identity" for found in before.values()) / len(users)
    standard_error = (0.25 * 0.75 / len(users)) ** 0.5
    assert abs(share - 0.25) < 4 * standard_error

    proxy.edit(proxy.text(percent=60))
    after = ask_for_all(proxy.port, users)
    assert after == {user: engine("portal-2026", user, 60) for user in users}
    assert not [user for user in users if (before[user], after[user]) == ("identity", "classic")]


def test_two_processes_and_a_restart_give_the_same_answers(start, nginx, tmp_path):
    keys = tmp_path / "shared-keys"
    keys.write_text(keygen())
    one = start(nginx.classic, nginx.identity, name="one", key_file=keys)
    two = start(nginx.classic, nginx.identity, name="two", key_file=keys)
    users = [f"User-{number}@example.com" for number in range(500)]
    first = ask_for_all(one.port, users)
    assert first == ask_for_all(two.port, users)
    assert first == {user: engine("portal", user, 25) for user in users}
    assert one.stop() == 0
    one.start()
    assert ask_for_all(one.port, users) == first


def test_a_page_load_gets_a_ticket_at_once_and_an_api_client_never(proxy):
    page = fetch(proxy.port, headers=[PAGE])
    assert page.cookie("cutover"), page
    line = next(line for line in page.all("set-cookie") if line.startswith("cutover="))
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in line.split(";")}
    for _ in range(50):
        api = fetch(proxy.port, headers=[("accept", "application/json")])
        assert (api.text, api.all("set-cookie")) == ("classic", []), "classic every time, no dice"
    decisions = proxy.metrics()
    assert decisions.value("cutover_decisions_total", reason="default", engine="classic") == 50


def test_a_browser_keeps_its_engine_over_restarts_and_widening_moves_it_at_most_once(start, nginx, tmp_path):
    proxy = start(nginx.classic, nginx.identity, keys=("device",), percent=50)
    jars = [tmp_path / f"jar-{number}" for number in range(16)]

    def visit(jar):
        found = curl("-H", "Accept: text/html", "-b", jar, "-c", jar, f"{proxy.url}/")
        assert found.answer.status == 200
        return found.answer.text

    def visit_all():
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(visit, jars))

    first = visit_all()
    assert set(first) == {"classic", "identity"}, "one in 32,768 runs fails here by chance"
    assert visit_all() == first
    assert proxy.stop() == 0
    proxy.start()
    assert visit_all() == first, "the key file outlives the process"

    history = [first]
    for percent in (70, 90, 100):
        proxy.edit(proxy.text(percent=percent))
        history.append(visit_all())
    for browser in zip(*history):
        assert list(browser) == sorted(browser), "classic, then identity, and never back"
    assert set(history[-1]) == {"identity"}


def test_a_ticket_follows_the_user(proxy):
    user = next(f"user-{number}" for number in range(100) if engine("portal", f"user-{number}", 25) == "identity")
    signed_in = fetch(proxy.port, headers=[PAGE, ("cookie", f"uid={user}")])
    ticket = signed_in.cookie("cutover")
    assert signed_in.text == "identity" and ticket
    for _ in range(5):
        assert fetch(proxy.port, headers=[("cookie", f"cutover={ticket}")]).text == "identity", "known without the key"


@pytest.mark.parametrize("kind", ["forged", "cut", "nonsense", "foreign"])
def test_a_bad_ticket_is_no_ticket_and_is_replaced(start, proxy, nginx, kind):
    good = fetch(proxy.port, headers=[PAGE]).cookie("cutover")
    if kind == "foreign":
        other = start(nginx.classic, nginx.identity, name="other")
        bad = fetch(other.port, headers=[PAGE]).cookie("cutover")
    else:
        middle = len(good) // 2
        flipped = "A" if good[middle] != "A" else "B"
        bad = {"forged": good[:middle] + flipped + good[middle + 1 :], "cut": good[:-9], "nonsense": "%00; DROP"}[kind]
    answer = fetch(proxy.port, headers=[PAGE, ("cookie", f"cutover={bad}")])
    assert answer.status == 200
    assert answer.cookie("cutover") not in (None, bad)
    assert proxy.metrics().value("cutover_tickets_rejected_total") == 1
    # The good one is still good, and not replaced on every request.
    assert fetch(proxy.port, headers=[PAGE, ("cookie", f"cutover={good}")]).cookie("cutover") is None


def test_engines_neither_see_nor_need_our_cookies(proxy, classic, identity):
    ticket = fetch(proxy.port, headers=[PAGE]).cookie("cutover")
    fetch(proxy.port, headers=[("cookie", f"a=1; cutover={ticket}; b=2")])
    seen = (classic.requests + identity.requests)[-1]
    assert seen.all("cookie") == ["a=1; b=2"]
