import ArgumentParser

/// Which part of a list.
struct PageOptions: ParsableArguments {
  @Option(help: "At most this many from one call; 0: as many as the server likes.")
  var pageSize: Int32 = 0

  @Option(help: "Goes on where an earlier page ended.")
  var pageToken = ""

  @Flag(help: "Follows the pages to the end.")
  var all = false

  /// Asks for one page, or with `--all` for one after the other, and joins their items.
  func collect<Item>(
    _ page: (_ token: String) async throws -> (items: [Item], next: String)
  ) async throws -> (items: [Item], next: String) {
    let (items, next) = try await page(pageToken)
    return all ? try await Self.follow(items, next, page) : (items, next)
  }

  /// Asks for the pages from `token` on and joins them to `items`.
  static func follow<Item>(
    _ items: [Item], _ token: String,
    _ page: (_ token: String) async throws -> (items: [Item], next: String)
  ) async throws -> (items: [Item], next: String) {
    var (items, next) = (items, token)
    while !next.isEmpty {
      let more = try await page(next)
      // A server that repeats its token would keep us here for ever.
      guard more.next != next else { throw UsageError("the server's pages don't end") }
      items += more.items
      next = more.next
    }
    return (items, next)
  }
}
