/// The groups that one subject is directly in.
struct Memberships: Sendable {
  /// A group that it is in until a moment.
  private struct Ending: Sendable {
    let end: Timestamp
    let group: Int
  }

  /// In order of their ids. There are few: see `GroupCommands.maximumMemberships`.
  private(set) var members: [GroupMember] = []
  /// Groups that it is in without an end.
  private var lasting = RoleSet()
  /// Those that end latest come first, so that those that have ended need not be looked at.
  private var ending: [Ending] = []

  /// The numbers of the groups that it is directly in at `now`.
  func forEach(at now: Timestamp, _ body: (Int) -> Void) {
    lasting.forEach(body)
    for held in ending {
      guard held.end > now else { return }
      body(held.group)
    }
  }

  /// When the next of those that it is in at `now` ends; nil: none does.
  func nextEnd(after now: Timestamp) -> Timestamp? {
    let ended = ending.firstIndexAfterAll { $0.end > now }
    return ended > 0 ? ending[ended - 1].end : nil
  }

  /// Those behind that of `id`.
  func members(after id: String) -> Cursor<GroupMember> {
    Cursor(members[members.firstIndexAfterAll { $0.id <= id }...])
  }

  /// - Parameter number: the numbers of groups, as they are now.
  mutating func insert(_ member: GroupMember, _ number: (String) -> Int?) {
    members.insert(member, at: members.firstIndexAfterAll { $0.id < member.id })
    renumber(number)
  }

  mutating func remove(id: String, _ number: (String) -> Int?) {
    members.removeAll { $0.id == id }
    renumber(number)
  }

  /// Members or groups have come or gone.
  mutating func renumber(_ number: (String) -> Int?) {
    (lasting, ending) = (RoleSet(), [])
    for member in members {
      guard let group = number(member.group) else { continue }
      if let end = member.expireTime {
        ending.insert(
          Ending(end: end, group: group), at: ending.firstIndexAfterAll { $0.end >= end })
      } else {
        lasting.insert(group)
      }
    }
  }
}
