internal import Tenancy

/// A row, for a message that is made only where it is needed.
struct AuditRow {
  let table: StaticString
  let first: any CustomStringConvertible & Sendable
  let second: String?

  init(
    _ table: StaticString, _ first: any CustomStringConvertible & Sendable, _ second: String? = nil
  ) {
    self.table = table
    self.first = first
    self.second = second
  }

  func require(
    _ condition: Bool, _ what: @autoclosure () -> String
  ) throws(StoreError) {
    if !condition { throw corruption(what()) }
  }

  func corruption(_ what: String) -> StoreError {
    let key = "\(first)\(second.map { "/\($0)" } ?? "")"
    return StoreError(corrupt: StoreError.Place(table: "\(table)", row: key, what: what))
  }
}
