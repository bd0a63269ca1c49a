internal import Tenancy

/// What is wrong with a store.
public struct StoreFinding: Codable, Hashable, Sendable, CustomStringConvertible {
  /// Nil: it is about the file.
  public let table: String?
  /// Its key. Nil: it is about the table.
  public let row: String?
  public let what: String

  init(table: String? = nil, row: String? = nil, _ what: String) {
    self.table = table
    self.row = row
    self.what = what
  }

  public var description: String {
    let place = [table.map { "table \($0)" }, row.map { "row \($0)" }].compactMap(\.self)
    return place.isEmpty ? what : "\(place.joined(separator: ", ")): \(what)"
  }
}

/// Collects what is wrong.
final class StoreFindings {
  /// Kept, at most: a file may be wrong in every row. The rest is counted.
  static let maximum = 100_000

  private(set) var all: [StoreFinding] = []
  private(set) var omitted = 0

  func add(_ finding: StoreFinding) {
    guard all.count < Self.maximum else {
      omitted += 1
      return
    }
    all.append(finding)
  }

  func add(_ error: StoreError) {
    if let place = error.place {
      add(StoreFinding(table: place.table, row: place.row, place.what))
    } else {
      add(StoreFinding(error.description))
    }
  }

  /// Runs a part of a check; what it throws is one finding more.
  func note(_ body: () throws(StoreError) -> Void) {
    do throws(StoreError) { try body() } catch { add(error) }
  }
}
