import TenancyRPC

/// Calls of one event loop, by protocol, method and status. Rows are made when the first call of a kind ends:
/// from then on a call costs a few additions. Confined to its loop; copied when it is read.
struct CallTable: Sendable {
  /// Upper bounds, in nanoseconds.
  static let bounds: [UInt64] = [
    10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
    25_000_000, 50_000_000, 100_000_000, 250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000,
    5_000_000_000, 10_000_000_000,
  ]
  static let codes = 17

  struct Row: Sendable {
    let wire: CallRecord.Wire
    /// Nil: there is no such method.
    let method: Int?
    let code: RPCStatus.Code
    /// Not cumulative; the last is what is above all bounds.
    var buckets = [UInt64](repeating: 0, count: CallTable.bounds.count + 1)
    var nanoseconds: UInt64 = 0
    var queueNanoseconds: UInt64 = 0
    var requestBytes: UInt64 = 0
    var responseBytes: UInt64 = 0
    var requestMessages: UInt64 = 0
    var responseMessages: UInt64 = 0

    var calls: UInt64 { buckets.reduce(0, +) }
  }

  private let methods: Int
  private var places: [Int32]
  private(set) var rows: [Row] = []

  init(methods: Int) {
    self.methods = methods
    places = Array(
      repeating: -1, count: CallRecord.Wire.allCases.count * (methods + 1) * Self.codes)
  }

  /// - Returns: the number of the bucket for a duration.
  @inline(__always)
  static func bucket(_ nanoseconds: UInt64) -> Int {
    var index = 0
    while index < bounds.count, nanoseconds > bounds[index] { index += 1 }
    return index
  }

  @inline(__always)
  mutating func add(_ call: borrowing CallRecord) {
    let method = call.method ?? methods
    let key = (call.wire.rawValue * (methods + 1) + method) * Self.codes + Int(call.code.rawValue)
    // A number that is none of ours is not counted rather than a reason to trap.
    guard places.indices.contains(key) else { return }
    if places[key] < 0 {
      places[key] = Int32(rows.count)  // In range: as many as there are places.
      rows.append(Row(wire: call.wire, method: call.method, code: call.code))
    }
    let duration = call.endTime &- call.beginTime
    let row = Int(places[key])
    rows[row].buckets[Self.bucket(duration)] &+= 1  // In range: see `bucket`.
    rows[row].nanoseconds &+= duration
    rows[row].queueNanoseconds &+=
      call.startTime > call.beginTime ? call.startTime &- call.beginTime : 0
    rows[row].requestBytes &+= UInt64(truncatingIfNeeded: call.requestBytes)
    rows[row].responseBytes &+= UInt64(truncatingIfNeeded: call.responseBytes)
    rows[row].requestMessages &+= UInt64(truncatingIfNeeded: call.requestMessages)
    rows[row].responseMessages &+= UInt64(truncatingIfNeeded: call.responseMessages)
  }

  /// Adds what another loop has seen of the same methods.
  mutating func add(_ other: CallTable) {
    for row in other.rows {
      let method = row.method ?? methods
      let key = (row.wire.rawValue * (methods + 1) + method) * Self.codes + Int(row.code.rawValue)
      guard places.indices.contains(key) else { continue }
      if places[key] < 0 {
        places[key] = Int32(rows.count)  // In range: as many as there are places.
        rows.append(row)
        continue
      }
      let mine = Int(places[key])
      for (index, count) in row.buckets.enumerated() { rows[mine].buckets[index] &+= count }
      rows[mine].nanoseconds &+= row.nanoseconds
      rows[mine].queueNanoseconds &+= row.queueNanoseconds
      rows[mine].requestBytes &+= row.requestBytes
      rows[mine].responseBytes &+= row.responseBytes
      rows[mine].requestMessages &+= row.requestMessages
      rows[mine].responseMessages &+= row.responseMessages
    }
  }
}
