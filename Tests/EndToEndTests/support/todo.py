"""The Todo scenario of AuthZEN's interoperability events: who is what in it, and which decisions are expected.

Whose a todo is requests tell by an address, which each user's own assignment of the role of owners has as its condition.
"""

USERS = {
    "CiRmZDA2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs": ("rick@the-citadel.com", ["admin", "evil-genius"]),
    "CiRmZDE2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs": ("morty@the-citadel.com", ["editor"]),
    "CiRmZDI2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs": ("summer@the-smiths.com", ["editor"]),
    "CiRmZDM2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs": ("beth@the-smiths.com", ["viewer"]),
    "CiRmZDQ2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs": ("jerry@the-smiths.com", ["viewer"]),
}
VIEWER = ["user:can_read_user", "todo:can_read_todos"]
EDITOR = [*VIEWER, "todo:can_create_todo"]
OWNER = ["todo:can_update_todo", "todo:can_delete_todo"]
ROLES = {"owner": OWNER, "viewer": VIEWER, "editor": EDITOR, "admin": [*EDITOR, "todo:can_delete_todo"],
         "evil-genius": [*EDITOR, "todo:can_update_todo"]}
RICKS = "7240d0db-8ff0-41ec-98b2-34a096273b92"


def set_up(admin, tenant: str) -> None:
    for role, permissions in ROLES.items():
        admin.role(tenant, role, *permissions)
    for identity, (email, roles) in USERS.items():
        for role in roles:
            admin.assign(tenant, f"user:{identity}", role)
        if "editor" in roles:
            admin.assign(tenant, f"user:{identity}", "owner", resource="todo",
                         condition=f"resource.attributes.ownerID == '{email}'")


def request(identity: str, action: str, kind: str, resource: str, owner: str | None = None) -> dict:
    made = {"subject": {"type": "user", "id": identity}, "action": {"name": action},
            "resource": {"type": kind, "id": resource}, "context": {}}
    if owner is not None:
        made["resource"]["properties"] = {"ownerID": owner}
    return made


def decisions():
    """Requests with their decisions."""
    for identity, (email, roles) in USERS.items():
        is_editor, is_rick = "viewer" not in roles, "admin" in roles
        for other in ("beth@the-smiths.com", "rick@the-citadel.com"):
            yield request(identity, "can_read_user", "user", other), True
        yield request(identity, "can_read_todos", "todo", "todo-1"), True
        yield request(identity, "can_create_todo", "todo", "todo-1"), is_editor
        for action in ("can_update_todo", "can_delete_todo"):
            for owner in ("rick@the-citadel.com", "morty@the-citadel.com" if is_rick else email):
                yield request(identity, action, "todo", RICKS, owner), is_rick or is_editor and owner == email
