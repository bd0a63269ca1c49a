/// The input of a fuzzer, read as choices. All of it means something, and its end is zeros.
struct Script {
  private var rest: ArraySlice<UInt8>

  init(_ input: [UInt8]) { rest = input[...] }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  mutating func choose<Choice>(_ choices: [Choice]) -> Choice {
    choices[Int(byte()) % choices.count]
  }

  /// At most 31 bytes, as many as the next one says.
  mutating func bytes() -> [UInt8] {
    let bytes = [UInt8](rest.prefix(Int(byte() & 31)))
    rest = rest.dropFirst(bytes.count)
    return bytes
  }
}

/// What happens to a connection other than that bytes come.
enum ScriptEvent: CaseIterable {
  /// What was said so far is read at once.
  case read
  /// All but the last few bytes of it.
  case readPart
  case time
  case stopsTaking
  case takes
  case release
  case releaseAll
  case drain
  case endBecause
  case inputClosed
}

/// The other side of a connection: says what the script wants, well-formed or not.
protocol ScriptedPeer {
  init(_ script: inout Script)

  /// What opens the connection.
  var opening: [UInt8] { get }
  mutating func say(_ script: inout Script) -> [UInt8]
  /// The stream of each request that was made, by its number.
  var streams: [String: UInt32] { get }
  /// What makes room for all answers, if it can be said.
  var makingRoom: [UInt8] { get }
}

/// A message that handlers understand.
struct ScriptedMessage {
  private static let sizes = [0, 1, 16, 300, 1_500, 2_500]

  let bytes: [UInt8]

  init(_ script: inout Script) {
    let order = script.byte()
    bytes = [order] + [UInt8](repeating: 0, count: script.choose(Self.sizes))
  }
}
