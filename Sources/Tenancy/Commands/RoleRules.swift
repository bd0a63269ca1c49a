/// What roles of one tenant may be, and how they may be beside each other. Reads a policy as it is before a change.
struct RoleRules {
  /// Permissions and denied ones of a role.
  static let maximumPermissions = 1000
  static let maximumParents = 16
  static let maximumExclusions = 64
  /// Roles that one inherits from, parents of parents included.
  static let maximumAncestors = 64
  /// Permissions on this framework's own API that a role has with all that it inherits, where its giving is judged.
  static let maximumReserved = 2_000
  /// Holders of roles that are looked at where a change may make two of their roles exclude each other.
  static let maximumHolders = 1_000
  static let maximumTitleLength = 200
  static let maximumDescriptionLength = 2000

  private let policy: TenantPolicy

  init(_ policy: TenantPolicy) { self.policy = policy }

  // MARK: Form

  /// What is wrong with a role's own fields.
  /// - Parameter before: as it was: what was there before has been judged.
  static func checkForm(of role: Role, since before: Role?, _ checks: inout FieldChecks) {
    if !role.title.hasAtMost(characters: maximumTitleLength) {
      checks.note(.invalid("role.title", "at most \(maximumTitleLength) characters"))
    }
    if !role.summary.hasAtMost(characters: maximumDescriptionLength) {
      checks.note(.invalid("role.description", "at most \(maximumDescriptionLength) characters"))
    }
    // Before any work: this runs on the one writer, and a request can name a million.
    let allowed = check(
      role.permissions, "role.permissions", judged: Set(before?.permissions ?? []), &checks)
    let denied = check(
      role.denials, "role.denied_permissions", judged: Set(before?.denials ?? []), &checks)
    if let allowed, let denied, allowed + denied > maximumPermissions {
      checks.note(
        .invalid("role.denied_permissions", "at most \(maximumPermissions) with the permissions"))
    }
    check(role.parents, "role.parents", maximumParents, of: role, &checks)
    check(role.exclusions, "role.excluded_roles", maximumExclusions, of: role, &checks)
  }

  /// - Returns: how many there are; nil if they are too many.
  private static func check(
    _ permissions: [String], _ field: String, judged: Set<String>, _ checks: inout FieldChecks
  ) -> Int? {
    let short = permissions.prefix(2 * maximumPermissions + 1).lazy.filter {
      $0.utf8.count <= Permission.maximumLength
    }
    let known = Set(short)
    guard permissions.count <= 2 * maximumPermissions, known.count <= maximumPermissions else {
      checks.note(.invalid(field, "at most \(maximumPermissions)"))
      return nil
    }
    for (index, text) in permissions.enumerated() where !judged.contains(text) {
      guard !checks.isFull else { break }
      if Permission(parsing: text) == nil {
        checks.note(Permission.malformed("\(field)[\(index)]"))
      }
    }
    return known.count
  }

  private static func check(
    _ names: [String], _ field: String, _ limit: Int, of role: Role, _ checks: inout FieldChecks
  ) {
    guard names.count <= limit else {
      checks.note(.invalid(field, "at most \(limit)"))
      return
    }
    for (index, name) in names.enumerated() where !checks.isFull {
      if !RoleCommands.isRoleID(name) {
        checks.note(.invalid("\(field)[\(index)]", "must be the id of a role"))
      } else if name == role.id {
        checks.note(.invalid("\(field)[\(index)]", "must be another role"))
      }
    }
  }

  // MARK: Families

  /// Whether roles that a role names are there, and no role becomes its own ancestor or too young.
  func checkFamily(of role: Role, since before: Role?) throws(TenancyError) {
    try requireKnown(role.parents, since: before?.parents, "role.parents")
    try requireKnown(role.exclusions, since: before?.exclusions, "role.excluded_roles")
    guard role.parents != before?.parents ?? [] else { return }
    var (known, levels) = ([String: Int](), 0)
    for parent in role.parents {
      if isAncestor(role.id, of: parent) {
        throw .invalid("role.parents", "\(parent) inherits from the role itself")
      }
      levels = max(levels, 1 + self.levels(above: parent, &known))
    }
    known = [:]
    guard levels + self.levels(below: role.id, &known) <= RoleFamily.maximumDepth else {
      throw .invalid(
        "role.parents", "roles inherit over \(RoleFamily.maximumDepth) levels at most")
    }
  }

  private func requireKnown(
    _ names: [String], since before: [String]?, _ field: String
  ) throws(TenancyError) {
    for name in names where !(before ?? []).contains(name) {
      guard policy.role(name) != nil else {
        throw .invalid(field, "there is no role \(name)")
      }
    }
  }

  private func isAncestor(_ id: String, of other: String) -> Bool {
    guard let role = policy.role(id), let other = policy.role(other) else { return false }
    return other.number == role.number
      || policy.family.ancestors(of: other.number).contains(role.number)
  }

  private func levels(above id: String, _ known: inout [String: Int]) -> Int {
    if let levels = known[id] { return levels }
    // What a broken store might have in a circle ends here.
    known[id] = 0
    var levels = 0
    for parent in policy.role(id)?.role.parents ?? [] {
      levels = max(levels, 1 + self.levels(above: parent, &known))
    }
    known[id] = levels
    return levels
  }

  private func levels(below id: String, _ known: inout [String: Int]) -> Int {
    if let levels = known[id] { return levels }
    // What a broken store might have in a circle ends here.
    known[id] = 0
    var levels = 0
    policy.family.children(of: id).forEach { child in
      guard let child = policy.role(number: child) else { return }
      levels = max(levels, 1 + self.levels(below: child.role.id, &known))
    }
    known[id] = levels
    return levels
  }

  /// The roles of these ids and all that they inherit from.
  private func withAncestors(_ ids: [String]) -> [TenantPolicy.CompiledRole] {
    var all = RoleSet()
    for id in ids {
      guard let role = policy.role(id) else { continue }
      all.insert(role.number)
      all.formUnion(policy.family.ancestors(of: role.number))
    }
    var found: [TenantPolicy.CompiledRole] = []
    all.forEach { number in
      if let role = policy.role(number: number) { found.append(role) }
    }
    return found
  }

  /// Whether another role names this one.
  func isNamed(_ id: String) -> Bool {
    policy.family.hasChildren(id) || policy.exclusions.isNamed(id)
  }

  // MARK: What is given

  /// What it takes to look at a role with all that it inherits, as small changes.
  func costOfFamily(of id: String) -> Int {
    let all = withAncestors([id]).reduce(0) {
      $0 + 1 + $1.reservedPermissions.count + $1.reservedDenials.count
    }
    return all / Self.looksPerCost
  }
  private static let looksPerCost = 32

  /// Permissions on this framework's own API that who holds these roles has by them.
  func reserved(grantedBy ids: [String]) -> Set<String> {
    withAncestors(ids).reduce(into: []) { $0.formUnion($1.reservedPermissions) }
  }

  /// Those that who holds these roles is denied by them.
  func reserved(deniedBy ids: [String]) -> Set<String> {
    withAncestors(ids).reduce(into: []) { $0.formUnion($1.reservedDenials) }
  }

  // MARK: Separation of duties

  /// The role and its ancestors, by their numbers.
  private func family(of number: Int) -> RoleSet {
    var all = policy.family.ancestors(of: number)
    all.insert(number)
    return all
  }

  /// Whether a subject may hold a role beside those that it holds.
  func checkExclusions(
    of id: String, subject: String, holder: String, at now: Timestamp
  ) throws(TenancyError) {
    guard !policy.exclusions.isEmpty, let number = policy.role(id)?.number else { return }
    var budget = WorkBudget.uncapped
    try check(
      policy.exclusions.banned(by: family(of: number)), id, subject: subject, holder: holder,
      at: now, &budget)
  }

  private func check(
    _ banned: RoleSet, _ id: String, subject: String, holder: String, at now: Timestamp,
    _ budget: inout WorkBudget
  ) throws(TenancyError) {
    if banned.isEmpty { return }
    // Its members would all have to be looked at, each time.
    if SubjectGroup.isGroup(holder) { throw Self.notForGroups(id, subject) }
    guard
      let number = policy.holdings(of: holder)?.anywhere(banned, policy.family, at: now, &budget),
      let other = policy.role(number: number)
    else { return }
    throw Self.excluded(id, other.role.id, subject)
  }

  /// Whether a group holds no role that excludes others, or is excluded.
  func checkGroup(_ subject: String, at now: Timestamp) throws(TenancyError) {
    guard !policy.exclusions.isEmpty, let held = policy.holdings(of: subject) else { return }
    var rest = held.roles(at: now)
    while let number = rest.lowest {
      rest.remove(number)
      if policy.exclusions.banned(by: family(of: number)).isEmpty { continue }
      throw Self.notForGroups(policy.role(number: number)?.role.id ?? "", subject)
    }
  }

  /// Whether a role may be as it is to be, with all that inherits from it: none of them inherits from too many, or has
  /// too much, and nobody who holds one of them holds what it excludes.
  /// - Parameter looks: how many assignments may be looked at for that.
  func checkHeirs(
    of role: Role, since before: Role?, at now: Timestamp, _ looks: inout WorkBudget
  ) throws(TenancyError) {
    var after = policy
    after.put(role)
    guard let number = after.role(role.id)?.number else { return }
    let rules = RoleRules(after)
    let affected = rules.heirs(of: number)
    var failure: TenancyError?
    affected.forEach { if failure == nil { failure = rules.excess(of: $0) } }
    if let failure { throw failure }
    guard role.exclusions != before?.exclusions ?? [] || role.parents != before?.parents ?? [],
      !after.exclusions.isEmpty
    else { return }
    try rules.checkHolders(of: affected, at: now, &looks)
  }

  /// The role and all that inherit from it, by their numbers.
  private func heirs(of number: Int) -> RoleSet {
    var affected = RoleSet()
    affected.insert(number)
    policy.family.heirs.forEach { heir in
      if policy.family.ancestors(of: heir).contains(number) { affected.insert(heir) }
    }
    return affected
  }

  /// How many roles inherit from a role.
  func heirCount(of id: String) -> Int {
    guard policy.family.hasChildren(id), let number = policy.role(id)?.number else { return 0 }
    return heirs(of: number).count - 1
  }

  /// What a role has too much of, with all that it inherits.
  private func excess(of number: Int) -> TenancyError? {
    guard let id = policy.role(number: number)?.role.id else { return nil }
    let family = family(of: number)
    guard family.count <= 1 + Self.maximumAncestors else {
      return .invalid(
        "role.parents", "\(id) would inherit from more than \(Self.maximumAncestors) roles")
    }
    var (given, denied) = (0, 0)
    family.forEach { one in
      guard let role = policy.role(number: one) else { return }
      given += role.reservedPermissions.count
      denied += role.reservedDenials.count
    }
    guard max(given, denied) <= Self.maximumReserved else {
      return .invalid(
        "role.permissions",
        "\(id) would have more than \(Self.maximumReserved) permissions on this API, inherited ones included"
      )
    }
    return nil
  }

  private func checkHolders(
    of affected: RoleSet, at now: Timestamp, _ budget: inout WorkBudget
  ) throws(TenancyError) {
    var (all, rest) = (RoleSet(), affected)
    while let number = rest.lowest {
      rest.remove(number)
      guard let id = policy.role(number: number)?.role.id else { continue }
      let family = family(of: number)
      let banned = policy.exclusions.banned(by: family)
      if banned.isEmpty { continue }
      all.formUnion(banned)
      if let other = banned.firstCommon(with: family).flatMap({ policy.role(number: $0) }) {
        throw .invalid(
          "role.excluded_roles",
          "\(id) would be, or inherit from, \(other.role.id), which it excludes",
          reason: .rolesExcluded)
      }
      guard policy.assignmentCount(ofRole: id) <= Self.maximumHolders else {
        throw Self.tooManyHolders
      }
      var (list, uncapped) = (policy.assignments(ofRole: id), WorkBudget.uncapped)
      while let held = list.next(&uncapped) {
        guard !budget.isSpent else { throw Self.tooManyHolders }
        if held.expireTime.map({ $0 <= now }) ?? false { continue }
        budget.visit(1 + (policy.holdings(of: held.holder)?.assignments.count ?? 0))
        try check(banned, id, subject: held.subject, holder: held.holder, at: now, &budget)
      }
    }
    if all.isEmpty { return }
    // Whoever is in a group might hold one of the others by himself.
    if let (group, role) = policy.content.groupHolding(all, at: now, &budget) {
      throw Self.notForGroups(role, group)
    }
    if budget.isSpent { throw Self.tooManyHolders }
  }

  /// Assignments that are looked at for that.
  static let maximumLooks = 20_000

  private static let tooManyHolders = TenancyError(
    .failedPrecondition, .roleInUse,
    "too many hold the role or one that inherits from it: take it from them, or exclude roles before it is assigned"
  )

  private static func notForGroups(_ role: String, _ subject: String) -> TenancyError {
    TenancyError(
      .failedPrecondition, .rolesExcluded,
      "the role \(role) excludes others, or is excluded: it is not assigned to groups",
      metadata: ["role": role, "subject": subject])
  }

  private static func excluded(_ role: String, _ other: String, _ subject: String) -> TenancyError {
    TenancyError(
      .failedPrecondition, .rolesExcluded,
      "no subject may hold \(role) beside \(other), which it excludes or which excludes it",
      metadata: ["role": role, "excluded_role": other, "subject": subject])
  }
}

extension Role {
  /// Brings lists into the form in which they are kept.
  mutating func sort() {
    permissions = Set(permissions).sorted()
    denials = Set(denials).sorted()
    parents = Set(parents).sorted()
    exclusions = Set(exclusions).sorted()
  }

  /// Whether it does nothing for who holds it.
  var isBare: Bool {
    permissions.isEmpty && denials.isEmpty && parents.isEmpty && exclusions.isEmpty
  }
}

extension Permission {
  /// Whether a text is one on this framework's own API.
  static func isReserved(_ text: String) -> Bool { text.utf8.starts(with: reservedPrefix.utf8) }
}
