import TenancyWire

extension V1.Group: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Name", name)
    fields.add("Title", title)
    fields.add("Description", description)
    fields.add("Etag", etag)
    fields.add("Created", createTime?.text ?? "")
    fields.add("Updated", updateTime?.text ?? "")
    return fields.lines()
  }
}

extension V1.ListGroupsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("GROUP", "TITLE", "DESCRIPTION")
    for group in groups {
      table.add(ResourceName.last(group.name), group.title, group.description)
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}

extension V1.GroupMember: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Name", name)
    fields.add("Group", ResourceName.last(group))
    fields.add("Member", member)
    fields.add("Created", createTime?.text ?? "")
    fields.add("Expires", expireTime?.text ?? "")
    return fields.lines()
  }
}

extension V1.ListGroupMembersResponse: Presentable {
  func lines() -> [String] {
    var table = Table("MEMBERSHIP", "GROUP", "EXPIRES", "MEMBER")
    for member in groupMembers {
      table.add(
        ResourceName.last(member.name), ResourceName.last(member.group),
        member.expireTime?.text ?? "", member.member)
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}
