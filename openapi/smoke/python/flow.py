"""What a developer does with the generated Python client. Takes BASE_URL and API_KEY; `mypy --strict` holds for it."""

import os
import time
from typing import TypeVar
from uuid import UUID, uuid4

from postroom_client import AuthenticatedClient
from postroom_client.api.agents_and_teams import create_agent
from postroom_client.api.mailboxes import get_mailbox, list_mailboxes, update_mailbox
from postroom_client.api.messages import list_messages
from postroom_client.api.threads import get_thread
from postroom_client.models import CreateAgent, Mailbox, MailboxState, Problem, UpdateMailbox
from postroom_client.types import UNSET, Unset

DEADLINE = 60.0
T = TypeVar("T")


def answered(answer: T | Problem | None) -> T:
    """The answer itself; a problem, or a status that the document does not know, fails the flow."""
    assert answer is not None, "a status that the document does not know"
    if isinstance(answer, Problem):
        raise AssertionError(f"{answer.code}: {answer.detail}")
    return answer


def connected_mailbox(client: AuthenticatedClient) -> Mailbox:
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        for mailbox in answered(list_mailboxes.sync(client=client)).data:
            if mailbox.state == MailboxState.CONNECTED:
                return mailbox
        time.sleep(0.2)
    raise AssertionError(f"no mailbox was connected within {DEADLINE} s")


def message_ids(client: AuthenticatedClient, mailbox: UUID) -> list[UUID]:
    found: list[UUID] = []
    cursor: str | Unset = UNSET
    while True:
        page = answered(list_messages.sync(client=client, mailbox_id=mailbox, limit=10, cursor=cursor))
        assert len(page.data) <= 10
        found.extend(message.id for message in page.data)
        if not page.next_cursor:
            return found
        cursor = page.next_cursor


def main() -> None:
    client = AuthenticatedClient(
        base_url=os.environ["BASE_URL"], token=os.environ["API_KEY"], prefix="", auth_header_name="x-api-key"
    )
    mailbox = connected_mailbox(client)

    ids = message_ids(client, mailbox.id)
    assert len(ids) > 10, "one page is not paging"
    assert len(set(ids)) == len(ids), "a message came twice"

    newest = answered(list_messages.sync(client=client, mailbox_id=mailbox.id, limit=1)).data[0]
    thread = answered(get_thread.sync(newest.thread_id, client=client))
    assert newest.id in [message.id for message in thread.messages]
    assert thread.message_count == newest.thread_count

    agent = answered(create_agent.sync(client=client, body=CreateAgent(name="Python client")))
    bound = answered(update_mailbox.sync(mailbox.id, client=client, body=UpdateMailbox(agent_id=agent.id)))
    assert bound.agent_id == agent.id
    assert bound.agent_revision_id == agent.active_revision_id

    missing = get_mailbox.sync(uuid4(), client=client)
    assert isinstance(missing, Problem), missing
    assert (missing.status, missing.code) == (404, "not_found")
    print(f"python: {len(ids)} messages")


main()
