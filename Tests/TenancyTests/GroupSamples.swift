import TenancyTestSupport

@testable import Tenancy

extension Sample {
  static func group(_ id: String, title: String = "") -> SubjectGroup {
    SubjectGroup(
      id: id, title: title, summary: "", version: 1, createTime: moment, updateTime: moment)
  }

  static func member(
    _ id: String, _ member: String, of group: String, expireTime: Timestamp? = nil
  ) -> GroupMember {
    GroupMember(id: id, group: group, member: member, createTime: moment, expireTime: expireTime)
  }
}
