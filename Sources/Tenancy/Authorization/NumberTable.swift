/// What has a number among others of its kind in one tenant.
protocol Numbered: Sendable {
  var number: Int { get }
}

/// What a tenant has of one kind, by numbers. A number that is free again is used again.
struct NumberTable<Element: Numbered>: Sendable {
  private static var chunk: Int { 32 }

  /// In chunks, so that a change copies one of them.
  private var chunks: [[Element?]] = []
  private var used = RoleSet()

  /// - Parameter elements: numbered from 0.
  init(_ elements: [Element] = []) {
    for element in elements { put(element) }
  }

  var free: Int { used.firstMissing }

  func find(_ number: Int) -> Element? {
    guard used.contains(number) else { return nil }
    // In range: `put` made room for a number that is used.
    return chunks[number / Self.chunk][number % Self.chunk]
  }

  mutating func put(_ element: Element) {
    let (chunk, place) = element.number.quotientAndRemainder(dividingBy: Self.chunk)
    while chunk >= chunks.count {
      chunks.append(Array(repeating: nil, count: Self.chunk))
    }
    chunks[chunk][place] = element  // In range: there is room now.
    used.insert(element.number)
  }

  mutating func remove(_ number: Int) {
    guard used.contains(number) else { return }
    chunks[number / Self.chunk][number % Self.chunk] = nil
    used.remove(number)
  }
}
