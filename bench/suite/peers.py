"""Who is measured: ours, the yardsticks, and the peers."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from suite.toolchains import Missing, Ready, go, java, never, node, python

OURS = "pushtasks"
BARE = "bare pycurl"
LIMIT = "h2load"
GO = "Go apns2"
AIOAPNS = "aioapns"
FIREBASE = "firebase-admin"
BARE_GATEWAY = "bare sendall"


@dataclass(frozen=True, slots=True)
class Peer:
    """A client, and how much of the work it gets."""

    name: str
    prepare: Callable[[], Ready]
    #: The part of the pushes: slow ones would take minutes, and their CPU per push is the same.
    share: float = 1.0
    #: Pushes before the clock starts; compilers that watch first need more.
    warm_up: int = 2000


A2 = "a2 0.10 sends to Apple's hosts only, and trusts the authorities compiled into it"
APNS = (
    Peer(BARE, partial(python, "bare_pycurl.py", "pycurl")),
    Peer(OURS, partial(python, "pushtasks_apns.py", "pushtasks")),
    Peer(GO, partial(go, "apns2")),
    Peer("node-apn", partial(node, "node-apn"), share=0.5, warm_up=10_000),
    Peer("pushy", partial(java, "pushy"), warm_up=30_000),
    Peer("a2", never(A2)),
    Peer(AIOAPNS, partial(python, "aioapns_client.py", "aioapns", "h2"), share=0.1, warm_up=500),
    Peer("httpx", partial(python, "httpx_client.py", "httpx", "h2"), share=0.03, warm_up=200),
    Peer(LIMIT, partial(python, "h2load_client.py", needs="h2load"), warm_up=0),
)
#: Ours, from below.
LAYERS = (
    Peer(BARE, partial(python, "bare_pycurl.py", "pycurl")),
    Peer("multiplexer", partial(python, "overhead_multiplexer.py", "pushtasks")),
    Peer("ApnsClient.send", partial(python, "overhead_client.py", "pushtasks")),
    Peer(OURS, partial(python, "pushtasks_apns.py", "pushtasks")),
)
FCM = (
    Peer(OURS, partial(python, "pushtasks_fcm.py", "pushtasks")),
    Peer(
        FIREBASE,
        partial(python, "firebase_admin_client.py", "firebase-admin", "requests"),
        share=0.1,
        warm_up=500,
    ),
    Peer(
        f"{FIREBASE} async",
        partial(python, "firebase_admin_async_client.py", "firebase-admin", "httpx"),
        share=0.05,
        warm_up=200,
    ),
    Peer("PyFCM", partial(python, "pyfcm_client.py", "pyfcm", "aiohttp"), share=0.05, warm_up=200),
)
GATEWAY = (
    Peer(BARE_GATEWAY, partial(python, "bare_gateway.py", "pushtasks")),
    Peer(OURS, partial(python, "pushtasks_gateway.py", "pushtasks")),
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Peers that can run, and why others cannot."""

    ready: Mapping[Peer, Ready]
    missing: Mapping[str, str]

    @property
    def versions(self) -> dict[str, str]:
        """What each is made of."""
        return {peer.name: ready.version for peer, ready in self.ready.items() if ready.version}


def prepare(peers: Iterable[Peer], wanted: frozenset[str], tell: Callable[[str], None]) -> Prepared:
    """Build or find peers.

    Args:
        peers: Of one kind.
        wanted: The names of those that are to run; empty: all.
        tell: Is told what is being prepared.
    """
    ready: dict[Peer, Ready] = {}
    missing: dict[str, str] = {}
    for peer in peers:
        if wanted and peer.name not in wanted:
            continue
        tell(peer.name)
        try:
            ready[peer] = peer.prepare()
        except Missing as error:
            missing[peer.name] = str(error)
    return Prepared(ready, missing)
