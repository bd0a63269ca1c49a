/// Names that somebody may have meant.
enum Similar {
  /// Names that are looked at, at most, and their bytes.
  private static let (maximumNames, maximumBytes) = (2_000, 64)

  /// `; did you mean 'x'?`, where there is one that is near; else empty.
  static func hint(for name: String, among names: some Sequence<String>) -> String {
    var best: (name: String, distance: Int)?
    let limit = max(1, name.utf8.count / 3)
    for other in names.prefix(maximumNames) where other != name {
      let distance = distance(Array(name.utf8), Array(other.utf8), limit: limit)
      guard distance <= limit, distance < (best?.distance ?? .max) else { continue }
      best = (other, distance)
    }
    return best.map { "; did you mean '\($0.name)'?" } ?? ""
  }

  /// Bytes to change, add and take away; more than `limit` where there are more.
  private static func distance(_ a: [UInt8], _ b: [UInt8], limit: Int) -> Int {
    guard abs(a.count - b.count) <= limit, max(a.count, b.count) <= maximumBytes else {
      return limit + 1
    }
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var next = [i + 1]
      for (j, y) in b.enumerated() {
        // In range: a row has one more than `b`, and the next one has j + 1 by now.
        next.append(min(row[j] + (x == y ? 0 : 1), row[j + 1] + 1, next[j] + 1))
      }
      row = next
    }
    return row.last ?? 0
  }
}
