import TenancyTestSupport

/// Something that reads bytes of others, and what must be true of it whatever they are.
///
/// The same targets are run by the tests, on their seeds and with some damage done to these, and by
/// libFuzzer for as long as one likes (`tools/fuzz`).
struct FuzzTarget: Sendable {
  let name: String
  /// Inputs to begin with, made by the code that writes what the target reads.
  let seeds: @Sendable () throws -> [[UInt8]]
  /// Throws, or traps, when something is not as it must be.
  let run: @Sendable (_ input: [UInt8]) throws -> Void

  init(
    _ name: String, seeds: @escaping @Sendable () throws -> [[UInt8]],
    run: @escaping @Sendable ([UInt8]) throws -> Void
  ) {
    self.name = name
    self.seeds = seeds
    self.run = run
  }

  static let all: [FuzzTarget] =
    codingTargets + domainTargets + messageTargets + framingTargets + http2Targets + tlsTargets
    + storedTargets + backupTargets + telemetryTargets + ttrpcTargets + connectionTargets
    + scriptTargets + tokenTargets + envoyTargets + fetchTargets + workloadTargets
    + watchTargets + conditionTargets + authZENTargets
}

/// A property that does not hold.
struct PropertyFailure: Error, CustomStringConvertible {
  let description: String
}

/// Fails unless `condition` holds.
func check(_ condition: Bool, _ description: @autoclosure () -> String) throws(PropertyFailure) {
  if !condition { throw PropertyFailure(description: description()) }
}

/// Fails unless both are the same.
func checkEqual<Value: Equatable>(
  _ found: Value, _ expected: Value, _ what: String
) throws(PropertyFailure) {
  try check(found == expected, "\(what): \(found) is not \(expected)")
}

extension SeededGenerator {
  /// Numbers that follow from the input, for how it is cut into pieces.
  init(_ bytes: [UInt8]) {
    self.init(seed: bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
  }
}

extension [UInt8] {
  /// The same bytes in pieces, most of them small.
  func pieces() -> [[UInt8]] {
    var random = SeededGenerator(self)
    var pieces: [[UInt8]] = []
    var start = 0
    while start < count {
      let longest = Bool.random(using: &random) ? 8 : 256
      let end = Swift.min(count, start + Int.random(in: 1...longest, using: &random))
      pieces.append([UInt8](self[start..<end]))
      start = end
    }
    return pieces
  }

  /// Takes the first byte off; 0 if there is none.
  mutating func takeFirst() -> UInt8 { isEmpty ? 0 : removeFirst() }
}
