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

  /// What was seen of one kind of call.
  struct Row: Sendable {
    let wire: CallRecord.Wire
    /// Nil: there is no such method.
    let method: Int?
    let code: RPCStatus.Code
    /// Not cumulative; the last is what is above all bounds.
    let buckets: [UInt64]
    let nanoseconds: UInt64
    let queueNanoseconds: UInt64
    let requestBytes: UInt64
    let responseBytes: UInt64
    let requestMessages: UInt64
    let responseMessages: UInt64

    var calls: UInt64 { buckets.reduce(0, +) }
  }

  private struct Kind: Sendable {
    let wire: CallRecord.Wire
    let method: Int?
    let code: RPCStatus.Code
  }

  /// Where in a row's cells what is counted; the buckets come before.
  private enum Cell {
    static let nanoseconds = CallTable.bounds.count + 1
    static let queueNanoseconds = nanoseconds + 1
    static let requestBytes = nanoseconds + 2
    static let responseBytes = nanoseconds + 3
    static let requestMessages = nanoseconds + 4
    static let responseMessages = nanoseconds + 5
    static let count = nanoseconds + 6
  }

  private let methods: Int
  /// The row of each kind of call, or -1.
  private var places: [Int32]
  private var kinds: [Kind] = []
  /// Of all rows, one behind the other: a call touches one array.
  private var cells: [UInt64] = []

  init(methods: Int) {
    self.methods = methods
    places = Array(
      repeating: -1, count: CallRecord.Wire.allCases.count * (methods + 1) * Self.codes)
  }

  var rows: [Row] {
    kinds.enumerated().map { row, kind in
      let own = cells[row * Cell.count..<(row + 1) * Cell.count]
      let first = own.startIndex
      return Row(
        wire: kind.wire, method: kind.method, code: kind.code,
        buckets: Array(own.prefix(Self.bounds.count + 1)),
        nanoseconds: own[first + Cell.nanoseconds],
        queueNanoseconds: own[first + Cell.queueNanoseconds],
        requestBytes: own[first + Cell.requestBytes],
        responseBytes: own[first + Cell.responseBytes],
        requestMessages: own[first + Cell.requestMessages],
        responseMessages: own[first + Cell.responseMessages])
    }
  }

  /// - Returns: the number of the bucket for a duration.
  @inline(__always)
  static func bucket(_ nanoseconds: UInt64) -> Int {
    var index = 0
    while index < bounds.count, nanoseconds > bounds[index] { index += 1 }
    return index
  }

  /// Where the cells of a kind of call begin; nil for numbers that are none of ours, which are not counted rather
  /// than a reason to trap.
  @inline(__always)
  private mutating func begin(
    _ wire: CallRecord.Wire, _ method: Int?, _ code: RPCStatus.Code
  ) -> Int? {
    let key =
      (wire.rawValue * (methods + 1) + (method ?? methods)) * Self.codes + Int(code.rawValue)
    guard places.indices.contains(key) else { return nil }
    if places[key] < 0 {
      places[key] = Int32(kinds.count)  // In range: as many as there are places.
      kinds.append(Kind(wire: wire, method: method, code: code))
      cells += [UInt64](repeating: 0, count: Cell.count)
    }
    return Int(places[key]) * Cell.count
  }

  @inline(__always)
  mutating func add(_ call: borrowing CallRecord) {
    guard let begin = begin(call.wire, call.method, call.code) else { return }
    let duration = call.endTime &- call.beginTime
    let queued = call.startTime > call.beginTime ? call.startTime &- call.beginTime : 0
    let (requestBytes, responseBytes) = (call.requestBytes, call.responseBytes)
    let (requests, responses) = (call.requestMessages, call.responseMessages)
    unsafe cells.withUnsafeMutableBufferPointer { cells in
      unsafe cells[begin + Self.bucket(duration)] &+= 1  // In range: see `bucket`.
      unsafe cells[begin + Cell.nanoseconds] &+= duration
      unsafe cells[begin + Cell.queueNanoseconds] &+= queued
      unsafe cells[begin + Cell.requestBytes] &+= UInt64(truncatingIfNeeded: requestBytes)
      unsafe cells[begin + Cell.responseBytes] &+= UInt64(truncatingIfNeeded: responseBytes)
      unsafe cells[begin + Cell.requestMessages] &+= UInt64(truncatingIfNeeded: requests)
      unsafe cells[begin + Cell.responseMessages] &+= UInt64(truncatingIfNeeded: responses)
    }
  }

  /// Adds what another loop has seen of the same methods.
  mutating func add(_ other: CallTable) {
    for (row, kind) in other.kinds.enumerated() {
      guard let begin = begin(kind.wire, kind.method, kind.code) else { continue }
      for cell in 0..<Cell.count { cells[begin + cell] &+= other.cells[row * Cell.count + cell] }
    }
  }
}
