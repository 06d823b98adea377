"""gRPC by grpcio, client and engines, in every shape of a call, with the engine chosen by a ticket."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from support.buckets import engine as engine_of
from support.tools import curl
from support.waiting import eventually

USERS = {engine_of("portal", f"user-{number}", 50): f"user-{number}" for number in range(20)}


class Engine:
    """A grpcio server whose messages are bytes: `/test.Echo/…` in the four shapes, and one that fails."""

    def __init__(self, name):
        self.name = name.encode()
        self.server = grpc.server(ThreadPoolExecutor(8))
        calls = {
            "Unary": grpc.unary_unary_rpc_method_handler(lambda message, context: self.name + b":" + message),
            "Down": grpc.unary_stream_rpc_method_handler(self.down),
            "Up": grpc.stream_unary_rpc_method_handler(lambda messages, context: self.name + b":" + b",".join(messages)),
            "Both": grpc.stream_stream_rpc_method_handler(self.both),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
        }
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Echo", calls)])
        self.url = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def down(self, message, context):
        yield self.name
        for number in range(int(message)):
            yield b"%d:" % number + b"x" * 10_000

    def both(self, messages, context):
        yield self.name
        yield from messages

    def fail(self, message, context):
        context.set_trailing_metadata([("why", self.name.decode())])
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: ünïcode")

    def stop(self):
        self.server.stop(None).wait(5)


@pytest.fixture
def engines():
    started = [Engine("classic"), Engine("identity")]
    yield started
    for engine in started:
        engine.stop()


@pytest.fixture
def proxy(start, engines):
    return start(*engines, percent=50, pools="http2 = true", tls=True)


@pytest.fixture
def channel(proxy):
    with grpc.secure_channel(f"localhost:{proxy.port}", grpc.ssl_channel_credentials(proxy.ca.read_bytes())) as channel:
        yield channel


@pytest.fixture(params=["classic", "identity"])
def pinned(request, proxy):
    """An engine, and what a browser whose ticket leads there sends along: the ticket, and no word of who it is."""
    page = curl("--cacert", proxy.ca, "-H", f"cookie: uid={USERS[request.param]}", "-H", "accept: text/html", f"{proxy.url}/")
    ticket = page.answer.cookie("__Host-cutover")
    assert ticket, page.answer
    return request.param.encode(), [("cookie", f"__Host-cutover={ticket}")]


def responses(proxy, engine, status):
    return proxy.metrics().count("cutover_grpc_responses_total", engine=engine.decode(), grpc_status=status)


def test_calls_of_every_shape_reach_the_engine_of_the_ticket(proxy, channel, pinned):
    engine, metadata = pinned
    how = {"metadata": metadata, "timeout": 20}
    assert channel.unary_unary("/test.Echo/Unary")(b"hello", **how) == engine + b":hello"
    large = b"y" * 3_000_000
    assert channel.unary_unary("/test.Echo/Unary")(large, **how) == engine + b":" + large
    first, *others = channel.unary_stream("/test.Echo/Down")(b"200", **how)
    assert (first, len(others), {len(other) for other in others}) == (engine, 200, {10_002, 10_003, 10_004})
    told = channel.stream_unary("/test.Echo/Up")(iter([b"%d" % number for number in range(500)]), **how)
    assert told == engine + b":" + b",".join(b"%d" % number for number in range(500))
    assert responses(proxy, engine, "0") == 4
    assert responses(proxy, b"identity" if engine == b"classic" else b"classic", "0") == 0


def test_a_conversation_goes_back_and_forth_as_it_is_held(channel, pinned):
    engine, metadata = pinned
    said = []

    def speak():
        """Each message only when the one before came back: nothing may wait for more."""
        for number in range(50):
            eventually(lambda number=number: len(said) == number + 1, 10, f"message {number} came back")
            yield b"%d" % number

    for message in channel.stream_stream("/test.Echo/Both")(speak(), metadata=metadata, timeout=30):
        said.append(message)
    assert said == [engine, *(b"%d" % number for number in range(50))]


def test_an_error_is_told_with_its_words_and_counted_by_its_number(proxy, channel, pinned):
    engine, metadata = pinned
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/test.Echo/Fail")(b"", metadata=metadata, timeout=10)
    assert failed.value.code() == grpc.StatusCode.NOT_FOUND
    assert failed.value.details() == "no such thing: ünïcode"
    assert ("why", engine.decode()) in failed.value.trailing_metadata()
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/test.Echo/Nothing")(b"", metadata=metadata, timeout=10)
    assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert (responses(proxy, engine, "5"), responses(proxy, engine, "12")) == (1, 1)
    assert proxy.metrics().value("cutover_requests_total", engine=engine.decode(), method="POST", code="200") == 2


def test_a_call_that_is_called_off_ends_at_the_engine(proxy, channel, pinned):
    _, metadata = pinned
    call = channel.stream_stream("/test.Echo/Both")(iter(lambda: b"again", None), metadata=metadata, timeout=30)
    assert next(call) == pinned[0]
    call.cancel()
    eventually(lambda: proxy.metrics().value("cutover_requests_in_flight") == 0, 5, "nothing is in flight")


def test_an_engine_that_is_gone_is_unavailable(proxy, channel, engines):
    for engine in engines:
        engine.stop()
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/test.Echo/Unary")(b"", timeout=10)
    assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
