/// A permission that a subject has, wildcards as roles have them.
public struct ListedPermission: Sendable {
  /// What allows it, or denies something of it.
  public struct Grant: Sendable {
    /// Which role, of what, when and until when.
    public let assignment: RoleAssignment
    /// As that role, or one that it inherits from, names it.
    public let permission: String
    /// Whether a condition is still to be evaluated.
    public let isConditional: Bool
  }

  /// Of what allows it, at most.
  public static let maximumGrants = 16
  /// Of what denies something of it, at most.
  public static let maximumDenials = 64

  /// As roles name it.
  public let permission: String
  /// What always allows it comes first.
  public let grants: [Grant]
  /// Of what is allowed.
  public let denials: [Grant]
  /// Whether there is more of either.
  public let isTruncated: Bool
}

extension PolicyContent {
  /// In the order of their texts, some of those that are behind `start`.
  /// - Parameter place: what they are to be done to: all of a type, or one resource; nil: anything.
  /// - Returns: `next` is the last that was looked at; nil: there are no more. Nil in the place of all: it takes too much.
  func permissions(
    _ question: ListQuestion, of place: ResourceScope?, after start: String, size: Int,
    _ budget: inout WorkBudget
  ) -> (found: [ListedPermission], next: String?)? {
    var beginning = ListQuestion.budget
    guard let held = HeldAssignments(self, of: question.holder, at: question.now, &beginning),
      var list = PermissionList(self, held, question, place, &beginning)
    else { return nil }
    let (named, hasMore) = list.named(after: start, size: size, &budget)
    var last: String?
    for (text, roles) in named {
      if let last, budget.isSpent || budget.isFull { return (list.found, last) }
      last = text
      var own = ListQuestion.budget
      if let permission = Permission(parsing: text) { list.look(at: permission, roles, &own) }
      budget.visit(own.visits)
      budget.answer(bytes: own.answerBytes)
      if list.isCutShort { return nil }
    }
    return (list.found, hasMore ? last : nil)
  }
}

/// A page that is being made.
private struct PermissionList {
  /// Looks at permissions of roles to find those of one page.
  private static let maximumCandidates = 4_000

  /// What is found in all that the subject holds.
  private struct Place {
    let assignment: RoleAssignment
    let permission: Permission
    let standing: Standing
    /// Of which resources; nil: of all that the permission is of.
    let scope: ResourceScope?

    var told: ListedPermission.Grant {
      .init(
        assignment: assignment, permission: permission.text, isConditional: standing == .maybe)
    }
  }

  private let content: PolicyContent
  private let held: HeldAssignments
  private let question: ListQuestion
  private let place: ResourceScope?
  /// What roles deny, by its type, each with the role that names it.
  private var denials: [String: [(permission: Permission, role: Int)]] = [:]
  private(set) var found: [ListedPermission] = []
  private(set) var isCutShort = false

  init?(
    _ content: PolicyContent, _ held: HeldAssignments, _ question: ListQuestion,
    _ place: ResourceScope?, _ budget: inout WorkBudget
  ) {
    (self.content, self.held, self.question, self.place) = (content, held, question, place)
    var roles = held.closure(content.family)
    while content.denies, let number = roles.lowest {
      roles.remove(number)
      for text in content.role(number: number)?.role.denials ?? [] {
        guard !budget.isSpent else { return nil }
        budget.visit()
        guard let permission = Permission(parsing: text) else { continue }
        denials[permission.resource, default: []].append((permission, number))
      }
    }
  }

  // MARK: Candidates

  /// The first that are named behind `start`, and the roles that do, in order.
  func named(
    after start: String, size: Int, _ budget: inout WorkBudget
  ) -> (found: [(String, RoleSet)], hasMore: Bool) {
    var roles = held.closure(content.family)
    let limit = max(1, min(size, Self.maximumCandidates / max(1, roles.count)))
    var all: [String: RoleSet] = [:]
    while let number = roles.lowest {
      roles.remove(number)
      guard let list = content.role(number: number)?.role.permissions else { continue }
      var count = 0
      for range in ranges(of: list) {
        // In range: both ends are of the list.
        let begin = max(range.lowerBound, list.firstIndexAfterAll { $0 <= start })
        let part = list[min(begin, range.upperBound)..<range.upperBound].prefix(limit + 1 - count)
        for text in part { all[text, default: RoleSet()].insert(number) }
        count += part.count
      }
    }
    budget.visit(all.count / 4)
    let sorted = all.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    return (Array(sorted.prefix(limit)), sorted.count > limit)
  }

  /// Where in a list, which is in order, those are that can be of what is asked about.
  private func ranges(of list: [String]) -> [Range<Int>] {
    guard let type = place?.type else { return [list.indices] }
    func range(_ type: String) -> Range<Int> {
      // Behind the colon comes the semicolon.
      let begin = list.firstIndexAfterAll { $0 < type + ":" }
      return begin..<max(begin, list.firstIndexAfterAll { $0 < type + ";" })
    }
    return [range("*"), range(type)]
  }

  // MARK: One of them

  /// - Parameter roles: that name it.
  mutating func look(at permission: Permission, _ roles: RoleSet, _ budget: inout WorkBudget) {
    // What it is of what is asked about.
    let type = place?.type ?? permission.resource
    guard let asked = Permission(parsing: "\(type):\(permission.action)"),
      permission.contains(asked)
    else { return }
    var grants: [Place] = []
    for (role, assignments) in held.byRole where content.family.isOne(role, of: roles) {
      for assignment in assignments {
        if let place = standing(of: assignment, permission, asked, denies: false, &budget) {
          grants.append(place)
        }
      }
    }
    guard !grants.isEmpty else { return }
    let denials = denials(of: asked, &budget)
    budget.visit(grants.count * denials.count / 8)
    let covering = denials.filter { $0.standing == .always && $0.permission.contains(asked) }
    grants.removeAll { grant in covering.contains { $0.scope.contains(grant.scope) } }
    guard !grants.isEmpty else { return }
    let told = denials.filter { denial in
      grants.contains { denial.scope.overlaps($0.scope) }
    }
    grants.sort { Self.order($0) < Self.order($1) }
    let isTruncated =
      grants.count > ListedPermission.maximumGrants
      || told.count > ListedPermission.maximumDenials
    let listed = ListedPermission(
      permission: permission.text,
      grants: grants.prefix(ListedPermission.maximumGrants).map(\.told),
      denials: told.prefix(ListedPermission.maximumDenials).map(\.told), isTruncated: isTruncated)
    for grant in listed.grants + listed.denials {
      budget.answer(bytes: grant.assignment.listedBytes + grant.permission.utf8.count)
    }
    found.append(listed)
  }

  private static func order(_ place: Place) -> (Int, Int, String) {
    (place.standing == .always ? 0 : 1, place.scope == nil ? 0 : 1, place.assignment.id)
  }

  private mutating func denials(of asked: Permission, _ budget: inout WorkBudget) -> [Place] {
    if denials.isEmpty { return [] }
    var named: [(permission: Permission, role: Int)] = []
    if asked.resource == "*" {
      named = denials.values.flatMap(\.self)
    } else {
      named = (denials[asked.resource] ?? []) + (denials["*"] ?? [])
    }
    budget.visit(named.count / 4)
    var found: [Place] = []
    for (permission, naming) in named where permission.overlaps(asked) {
      var roles = RoleSet()
      roles.insert(naming)
      for (role, assignments) in held.byRole where content.family.isOne(role, of: roles) {
        for assignment in assignments {
          guard !budget.isSpent else {
            isCutShort = true
            return found
          }
          if let place = standing(of: assignment, permission, asked, denies: true, &budget) {
            found.append(place)
          }
        }
      }
    }
    return found.sorted { Self.order($0) < Self.order($1) }
  }

  /// - Parameters:
  ///   - named: as the role names it.
  ///   - asked: what it is of what is asked about.
  /// - Returns: nil: it says nothing of what is asked about.
  private mutating func standing(
    of assignment: RoleAssignment, _ named: Permission, _ asked: Permission, denies: Bool,
    _ budget: inout WorkBudget
  ) -> Place? {
    budget.visit()
    // All that the assignment is of, and that is asked about.
    let ofType = asked.resource == "*" ? nil : ResourceScope(parsing: asked.resource)
    var scope = assignment.terms.scope
    if let own = scope {
      let isOfType = ofType.contains(own) && !(ofType == nil && Permission.isReserved(own))
      guard isOfType else { return nil }
    } else {
      scope = ofType
    }
    if let place, place.path != nil {
      guard scope.contains(place) else { return nil }
      scope = place
    }
    let standing = question.standing(
      of: assignment, denies: denies, asked, path: place?.path ?? "", &isCutShort, &budget)
    guard standing > .never else { return nil }
    return Place(assignment: assignment, permission: named, standing: standing, scope: scope)
  }
}

extension Permission {
  fileprivate static func isReserved(_ scope: ResourceScope) -> Bool {
    scope.type.hasPrefix(reservedPrefix)
  }
}
