/// Where an assignment counts, compared with others without a question that is about one resource.
extension ResourceScope {
  private static let slash = UInt8(ascii: "/")
  private static let star = UInt8(ascii: "*")

  /// The type.
  var type: String { String(decoding: text.utf8.prefix { $0 != Self.slash }, as: UTF8.self) }

  /// Behind the type: of what is below a path with its last slash; empty where it is all of the type.
  private var rest: (path: Substring.UTF8View, isBelow: Bool) {
    let path = text.utf8.drop { $0 != Self.slash }.dropFirst()
    return path.last == Self.star ? (path.dropLast(), true) : (path, false)
  }

  /// The path of the one resource that it is of; nil where it is of several.
  var path: String? {
    let (path, isBelow) = rest
    return path.isEmpty || isBelow ? nil : String(decoding: path, as: UTF8.self)
  }

  /// Whether all of another one is in it.
  func contains(_ other: ResourceScope) -> Bool {
    guard type.hasSameBytes(as: other.type) else { return false }
    let (own, others) = (rest, other.rest)
    if own.path.isEmpty { return true }
    if !own.isBelow { return !others.isBelow && others.path.elementsEqual(own.path) }
    guard others.path.starts(with: own.path) else { return false }
    return others.isBelow || others.path.count > own.path.count
  }

  /// Whether anything of another one is in it.
  func overlaps(_ other: ResourceScope) -> Bool { contains(other) || other.contains(self) }
}

extension ResourceScope? {
  /// Nil is everything.
  func contains(_ other: ResourceScope?) -> Bool {
    guard let self else { return true }
    return other.map { self.contains($0) } ?? false
  }

  /// Nil is everything.
  func overlaps(_ other: ResourceScope?) -> Bool {
    guard let self, let other else { return true }
    return self.overlaps(other)
  }
}

extension Permission {
  /// Whether all that another one stands for is in it.
  func contains(_ other: Permission) -> Bool {
    (resource == other.resource || (resource == "*" && !other.isReserved))
      && (action == "*" || action == other.action)
  }

  /// Whether something is in both.
  func overlaps(_ other: Permission) -> Bool {
    (resource == other.resource || (resource == "*" && !other.isReserved)
      || (other.resource == "*" && !isReserved))
      && (action == other.action || action == "*" || other.action == "*")
  }
}

/// Whether what an assignment says is so where a list is about more than one question.
enum Standing: Int, Comparable {
  case never
  /// It depends on what the list does not know.
  case maybe
  case always

  static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// What a list about a subject is asked with.
struct ListQuestion {
  /// As the policy knows it.
  let holder: String
  /// As it is asked about.
  let named: String
  let now: Timestamp
  /// Nil: conditions are not evaluated.
  let attributes: RequestAttributes?

  /// For one element of a list, and for what comes before the first: as much as one question may take.
  static var budget: WorkBudget { WorkBudget(visits: 100_000) }

  /// How an assignment stands, by its end and its condition alone.
  /// - Parameters:
  ///   - permission: what conditions see; a wildcard leaves open what it stands for.
  ///   - path: of one resource; empty: of any.
  func standing(
    of assignment: RoleAssignment, denies: Bool, _ permission: Permission, path: String,
    _ isCutShort: inout Bool, _ budget: inout WorkBudget
  ) -> Standing {
    budget.visit()
    if let end = assignment.expireTime, end <= now { return .never }
    let text = assignment.terms.condition
    if text.isEmpty { return .always }
    guard var attributes else { return .maybe }
    guard let condition = assignment.condition else { return denies ? .always : .never }
    if Self.leavesOpen(text, permission, path) { return .maybe }
    let asked = permission.text
    let applies = unsafe condition.applies(
      to: denies ? .deny : .allow,
      Question(
        Question(
          subject: named.utf8Span.span.bytes, permission: asked.utf8Span.span.bytes,
          colon: permission.resource.utf8.count, resource: path.utf8Span.span.bytes, now: now),
        of: holder.utf8Span.span.bytes), &attributes, &budget)
    isCutShort = isCutShort || attributes.isCutShort
    return applies ? .always : .never
  }

  /// Whether a condition may read what is not told. Names stand in a condition as they are, so that one that does not
  /// have the word reads nothing of the kind.
  private static func leavesOpen(_ text: String, _ permission: Permission, _ path: String) -> Bool {
    if permission.action == "*", mentions(text, "action") { return true }
    if permission.resource == "*", mentions(text, "resource") { return true }
    guard path.isEmpty else { return false }
    return count(text, "resource") > count(text, "resource.type")
  }

  private static func mentions(_ text: String, _ word: String) -> Bool { count(text, word) > 0 }

  private static func count(_ text: String, _ word: String) -> Int {
    let (text, word) = (Array(text.utf8), Array(word.utf8))
    guard text.count >= word.count else { return 0 }
    return (0...(text.count - word.count)).count { text[$0...].starts(with: word) }
  }
}

/// What one subject holds, itself and through groups, by roles.
struct HeldAssignments {
  /// By the role's number, in order.
  private(set) var byRole: [(role: Int, assignments: [RoleAssignment])] = []

  /// - Returns: nil: the budget is spent.
  init?(
    _ content: borrowing PolicyContent, of holder: String, at now: Timestamp,
    _ budget: inout WorkBudget
  ) {
    let bytes = unsafe holder.utf8Span.span.bytes
    var sources = [content.holdings[holder]]
    var groups = content.heldGroups(of: bytes, at: now, &budget)
    while let number = groups.lowest {
      groups.remove(number)
      sources.append(content.groupHoldings(number))
    }
    var found: [Int: [RoleAssignment]] = [:]
    for assignment in sources.lazy.flatMap({ $0?.assignments ?? [] }) {
      guard !budget.isSpent else { return nil }
      budget.visit()
      guard let number = content.role(assignment.role)?.number,
        assignment.expireTime.map({ $0 > now }) ?? true
      else { continue }
      found[number, default: []].append(assignment)
    }
    byRole = found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// The roles, and those that they inherit from.
  func closure(_ family: borrowing RoleFamily) -> RoleSet {
    var roles = RoleSet()
    for held in byRole { roles.insert(held.role) }
    return family.closure(of: roles)
  }
}
