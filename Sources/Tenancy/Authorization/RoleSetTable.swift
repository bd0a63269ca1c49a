/// Sets of roles by text, none of them empty. One of the first 63 roles is a word, which is looked up without anything to count or to copy.
struct RoleSetTable: Sendable {
  private(set) var words = WordTable()
  /// The sets that are no words.
  private var others = ByteTable<RoleSet>()

  /// Stands in the place of a set that is in `others`.
  static var elsewhere: UInt64 { 1 << 63 }

  var isEmpty: Bool { words.isEmpty }

  /// The set of a text; nil: there is none.
  @inline(__always)
  func find(_ key: RawSpan) -> RoleSet? {
    guard let word = words.find(key) else { return nil }
    return word == Self.elsewhere ? others.find(key) : RoleSet(word: word)
  }

  /// The set of a text as a word, zero where there is none; nil: it is no word.
  @inline(__always)
  func word(_ key: RawSpan) -> UInt64? {
    let word = words.find(key) ?? 0
    return word == Self.elsewhere ? nil : word
  }

  subscript(key: String) -> RoleSet? { unsafe find(key.utf8Span.span.bytes) }

  /// Changes the set of a text. An empty one goes.
  mutating func update(_ key: String, _ change: (inout RoleSet) -> Void) {
    var roles = self[key] ?? RoleSet()
    change(&roles)
    let word = roles.word
    words.set(key, roles.isEmpty ? nil : word ?? Self.elsewhere)
    if word == nil || !others.isEmpty { others[key] = word == nil ? roles : nil }
  }

  /// For tests.
  func unsharedNodes(with other: Self) -> Int {
    words.unsharedNodes(with: other.words) + others.unshared(with: other.others).nodes
  }
}
