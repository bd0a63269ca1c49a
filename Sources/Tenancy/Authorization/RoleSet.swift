/// A set of one tenant's roles, or of its groups, by their numbers. The first 64 take no memory of their own.
struct RoleSet: Sendable, Equatable {
  private var first: UInt64 = 0
  private var others: [UInt64] = []

  init() {}

  /// - Parameter word: a bit for each of the numbers up to 63.
  init(word: UInt64) { first = word }

  /// The whole set as a word whose highest bit is free; nil: there is more in it.
  var word: UInt64? { others.isEmpty && first >> 63 == 0 ? first : nil }

  var isEmpty: Bool { first == 0 && others.allSatisfy { $0 == 0 } }

  /// The lowest number that is not in it.
  var firstMissing: Int {
    if first != .max { return (~first).trailingZeroBitCount }
    let word = others.firstIndex { $0 != .max } ?? others.count
    return 64 * (word + 1) + (word < others.count ? (~others[word]).trailingZeroBitCount : 0)
  }

  /// What looking at all of it costs.
  var words: Int { 1 + others.count }

  func contains(_ number: Int) -> Bool {
    if number < 64 { return first & (1 << number) != 0 }
    let word = number / 64 - 1
    return word < others.count && others[word] & (1 << (number % 64)) != 0
  }

  func isDisjoint(with other: RoleSet) -> Bool {
    if first & other.first != 0 { return false }
    for word in 0..<min(others.count, other.others.count)
    where others[word] & other.others[word] != 0 { return false }
    return true
  }

  /// Calls `body` with every number that both have, the lowest first, until it returns false.
  func forEachCommon(with other: RoleSet, _ body: (Int) -> Bool) {
    var common = first & other.first
    for word in 0...min(others.count, other.others.count) {
      // In range: the first round is that of `first`.
      if word > 0 { common = others[word - 1] & other.others[word - 1] }
      while common != 0 {
        guard body(64 * word + common.trailingZeroBitCount) else { return }
        common &= common - 1
      }
    }
  }

  mutating func insert(_ number: Int) {
    if number < 64 {
      first |= 1 << number
      return
    }
    let word = number / 64 - 1
    while others.count <= word { others.append(0) }
    others[word] |= 1 << (number % 64)
  }

  mutating func remove(_ number: Int) {
    if number < 64 {
      first &= ~(1 << number)
    } else if number / 64 - 1 < others.count {
      others[number / 64 - 1] &= ~(1 << (number % 64))
      while others.last == 0 { others.removeLast() }
    }
  }

  mutating func formUnion(_ more: RoleSet) {
    first |= more.first
    if others.isEmpty {
      others = more.others
    } else {
      while others.count < more.others.count { others.append(0) }
      for word in more.others.indices { others[word] |= more.others[word] }
    }
  }

  mutating func formIntersection(_ other: RoleSet) {
    first &= other.first
    if others.isEmpty { return }
    others.removeLast(max(0, others.count - other.others.count))
    // In range: as long, or shorter.
    for word in others.indices { others[word] &= other.others[word] }
    while others.last == 0 { others.removeLast() }
  }

  func isSubset(of other: RoleSet) -> Bool {
    guard first & ~other.first == 0 else { return false }
    return others.indices.allSatisfy { word in
      let theirs = word < other.others.count ? other.others[word] : 0
      return others[word] & ~theirs == 0
    }
  }

  /// The lowest number that is in it.
  var lowest: Int? {
    if first != 0 { return first.trailingZeroBitCount }
    guard let word = others.firstIndex(where: { $0 != 0 }) else { return nil }
    return 64 * (word + 1) + others[word].trailingZeroBitCount
  }

  var count: Int { others.reduce(first.nonzeroBitCount) { $0 + $1.nonzeroBitCount } }

  /// Each number, the lowest first.
  func forEach(_ body: (Int) -> Void) {
    Self.forEach(in: first, from: 0, body)
    for word in others.indices { Self.forEach(in: others[word], from: 64 * (word + 1), body) }
  }

  private static func forEach(in word: UInt64, from start: Int, _ body: (Int) -> Void) {
    var rest = word
    while rest != 0 {
      body(start + rest.trailingZeroBitCount)
      rest &= rest - 1
    }
  }

  /// The lowest number that both have.
  func firstCommon(with other: RoleSet) -> Int? {
    let common = first & other.first
    if common != 0 { return common.trailingZeroBitCount }
    for word in 0..<min(others.count, other.others.count) {
      let common = others[word] & other.others[word]
      if common != 0 { return 64 * (word + 1) + common.trailingZeroBitCount }
    }
    return nil
  }
}
