import ArgumentParser

/// Which part of a list.
struct PageOptions: ParsableArguments {
  // Unconditional, so that a negative one is told to be wrong, not missing.
  @Option(
    parsing: .unconditional,
    help: "At most this many from one call; 0: as many as the server likes.")
  var pageSize: Int32 = 0

  @Option(help: "Goes on where an earlier page ended.")
  var pageToken = ""

  @Flag(help: "Follows the pages to the end.")
  var all = false

  func validate() throws {
    guard pageSize >= 0 else { throw ValidationError("--page-size must not be negative") }
  }

  /// Asks for one page, or with `--all` for one after the other, and joins their items. One page is the
  /// first that has something: a filter can keep the server from finding anything in one call.
  func collect<Item>(
    _ page: (_ token: String) async throws -> (items: [Item], next: String)
  ) async throws -> (items: [Item], next: String) {
    let (items, next) = try await page(pageToken)
    return try await Self.follow(items, next, until: all ? nil : 1, page)
  }

  /// Asks for the pages from `token` on and joins them to `items`, until there are enough.
  /// - Parameter enough: nil: only all are.
  static func follow<Item>(
    _ items: [Item], _ token: String, until enough: Int? = nil,
    _ page: (_ token: String) async throws -> (items: [Item], next: String)
  ) async throws -> (items: [Item], next: String) {
    var (items, next) = (items, token)
    while !next.isEmpty, enough.map({ items.count < $0 }) ?? true {
      let more = try await page(next)
      // A server that repeats its token would keep us here for ever.
      guard more.next != next else { throw UsageError("the server's pages don't end") }
      items += more.items
      next = more.next
    }
    return (items, next)
  }
}
