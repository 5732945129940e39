"""The platform's backend in the crash test: it repeats what was not answered, or forgets it."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field

import httpx

from tests.crashes.wishes import WISHES
from tests.offers import OFFERS

CLIENTS = 8
CREDITS = 2
FORGETS, CANCELS = 0.1, 0.03
PAUSE_SECONDS = 0.25
PATIENCE_SECONDS = 30.0


@dataclass
class Traffic:
    """Clients that start generations until they are told to stop. `asked` has every mark and its provider."""

    url: str
    key: str
    customers: list[str]
    providers: list[str]
    seed: int
    asked: dict[str, str] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)
    repeats: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Start all clients."""
        for number in range(CLIENTS):
            thread = threading.Thread(target=self._run, args=(random.Random(f"{self.seed} {number}"),))
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Start nothing more, and wait for what is under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, chance: random.Random) -> None:
        with httpx.Client(
            base_url=f"{self.url}/api/v1/",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=httpx.Timeout(25.0, connect=1.0),
            trust_env=False,
        ) as client:
            while not self._stopping.wait(chance.uniform(0, 2 * PAUSE_SECONDS)):
                self._generate(client, chance)

    def _generate(self, client: httpx.Client, chance: random.Random) -> None:
        with self._lock:
            provider = self.providers[len(self.asked) % len(self.providers)]
            mark = f"#{chance.getrandbits(64):016x}"
            self.asked[mark] = provider
        (wish,) = chance.choices([*WISHES], [*WISHES.values()])
        offer = OFFERS[provider]
        body = {
            "customer_id": chance.choice(self.customers),
            "provider": provider,
            "model": offer.model,
            "kind": offer.kind,
            "credits": CREDITS,
            "input": offer.input(f"a red mug {mark} [simulate:{wish}]"),
        }
        answer = self._send(client, chance, "generations", body, mark)
        if answer is not None and answer.status_code == 202 and chance.random() < CANCELS:
            self._send(client, chance, f"generations/{answer.json()['id']}/cancel", None, None)

    def _send(
        self, client: httpx.Client, chance: random.Random, path: str, body: object, key: str | None
    ) -> httpx.Response | None:
        """The answer; None if the platform lost patience, or its own process before it had one."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        headers = {} if key is None else {"Idempotency-Key": key}
        while time.monotonic() < give_up:
            try:
                answer = client.post(path, json=body, headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and (answer.status_code < 500 or b'"refunded"' in answer.content):
                with self._lock:
                    self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
                return answer
            if chance.random() < FORGETS:
                return None
            with self._lock:
                self.repeats += 1
            time.sleep(chance.uniform(0.05, 0.4))
        return None
