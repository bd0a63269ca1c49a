"""A group from its making to its end, with every method that there is."""

from . import api

authz = api.authz


def group_story(stub, tenant):
    """- `stub`: of Authorization."""
    group = stub.CreateGroup(authz.CreateGroupRequest(parent=tenant, group_id="eng"))
    titled = stub.UpdateGroup(authz.UpdateGroupRequest(group=authz.Group(name=group.name, title="Engineers")))
    assert stub.GetGroup(authz.GetGroupRequest(name=group.name)) == titled
    assert list(stub.ListGroups(authz.ListGroupsRequest(parent=tenant)).groups) == [titled]
    joined = stub.CreateGroupMember(authz.CreateGroupMemberRequest(
        parent=tenant, group_member=authz.GroupMember(group="eng", member="user:al")))
    assert list(stub.ListGroupMembers(
        authz.ListGroupMembersRequest(parent=tenant, member="user:al")).group_members) == [joined]
    stub.DeleteGroupMember(authz.DeleteGroupMemberRequest(name=joined.name))
    stub.DeleteGroup(authz.DeleteGroupRequest(name=group.name))
    assert stub.ApplyPolicy(authz.ApplyPolicyRequest(parent=tenant, changes=[
        authz.PolicyChange(put_group=authz.Group(name="eng")), authz.PolicyChange(delete_group="eng")]
    )).changed_count == 2
