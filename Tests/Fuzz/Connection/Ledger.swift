import Synchronization
import TenancyRPC

/// What the handlers of one scripted connection have done. Each request says its number in `x-id`.
final class Ledger: Sendable {
  private struct State {
    var runs: [String: Int] = [:]
    var active = 0
    var waiting: [(ticket: Int, door: CheckedContinuation<Void, Never>)] = []
    var tickets = 0
  }

  static let idField = "x-id"

  private let state = Mutex(State())

  /// How often each request's handler has begun.
  var runs: [String: Int] { state.withLock { $0.runs } }
  /// Handlers that have begun and not returned.
  var active: Int { state.withLock { $0.active } }

  /// A handler begins.
  func begin(_ metadata: RPCMetadata) {
    let id = metadata[Self.idField].first
    state.withLock { state in
      state.active += 1
      if let id { state.runs[id, default: 0] += 1 }
    }
  }

  func end() { state.withLock { $0.active -= 1 } }

  /// Waits until the script lets one on, or the call is cancelled.
  func wait() async {
    let ticket = state.withLock { state in
      state.tickets += 1
      return state.tickets
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { door in
        let goesOn = state.withLock { state -> Bool in
          if Task.isCancelled { return true }
          state.waiting.append((ticket, door))
          return false
        }
        if goesOn { door.resume() }
      }
    } onCancel: {
      let door = state.withLock { state -> CheckedContinuation<Void, Never>? in
        guard let at = state.waiting.firstIndex(where: { $0.ticket == ticket }) else { return nil }
        return state.waiting.remove(at: at).door
      }
      door?.resume()
    }
  }

  /// Lets one of those on that wait. False: none does.
  func release(_ choice: Int) -> Bool {
    let door = state.withLock { state -> CheckedContinuation<Void, Never>? in
      guard !state.waiting.isEmpty else { return nil }
      return state.waiting.remove(at: choice % state.waiting.count).door
    }
    door?.resume()
    return door != nil
  }
}

/// Methods that do what the first byte of a message says.
struct ScriptedMethods {
  static let refusal = RPCStatus(.failedPrecondition, "as was asked")

  static let paths =
    ["Inline", "Async", "ClientStreaming", "ServerStreaming", "Bidirectional", "Pool"].map {
      "/test.Script/\($0)"
    }

  let ledger: Ledger

  var all: [FuzzMethod] {
    [
      inline,
      .async(path: Self.paths[1]) { [ledger] call, message in
        ledger.begin(call.metadata)
        defer { ledger.end() }
        return try await Self.answer(message, ledger)
      },
      streaming(2, .clientStreaming), streaming(3, .serverStreaming),
      streaming(4, .bidirectional), streaming(5, .bidirectional, on: .concurrentPool),
    ]
  }

  private var inline: FuzzMethod {
    .inline(path: Self.paths[0]) { [ledger] call, message throws(RPCStatus) in
      ledger.begin(call.metadata)
      defer { ledger.end() }
      let order = message.first ?? 0
      if order & 7 == 2 { throw Self.refusal }
      let count = order & 7 == 3 ? 1_500 : message.count
      call.reply(count: count) { target in
        UnsafeMutableRawBufferPointer(start: target, count: count).initializeMemory(
          as: UInt8.self, repeating: 7)
      }
    }
  }

  private static func answer(_ message: [UInt8], _ ledger: Ledger) async throws -> [UInt8] {
    switch (message.first ?? 0) & 7 {
    case 1: await ledger.wait()
    case 2: throw refusal
    case 3: return [UInt8](repeating: 7, count: 1_500)
    case 5:
      await ledger.wait()
      throw refusal
    default: break
    }
    try Task.checkCancellation()
    return message
  }

  private func streaming(
    _ index: Int, _ kind: CallKind, on executor: HandlerExecutor = .eventLoop
  ) -> FuzzMethod {
    .streaming(path: Self.paths[index], kind: kind, on: executor) {
      [ledger] call, requests, responses in
      ledger.begin(call.metadata)
      defer { ledger.end() }
      var last: [UInt8] = []
      for try await message in requests {
        last = message.bytes
        switch (last.first ?? 0) & 7 {
        case 3 where kind.serverStreams:
          for _ in 0..<6 { try await responses.send([UInt8](repeating: 7, count: 900)) }
        case 4: return
        case 6:
          responses.control.enableCompression()
          responses.sendHeaders(["x-initial": "1"])
          responses.addTrailers(["x-trailing-bin": "AAEC"])
        case 7: continue
        default:
          let answer = try await Self.answer(last, ledger)
          if kind.serverStreams {
            try await responses.send(answer, compress: message.wasCompressed)
          }
        }
      }
      if !kind.serverStreams { try await responses.send(last) }
    }
  }
}
