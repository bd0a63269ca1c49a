import Foundation
import TenancyRPC

@testable import TenancyTelemetry

/// What callers say of their calls, and what is written of it.
let telemetryTargets: [FuzzTarget] = [
  FuzzTarget("traceparent") {
    [
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more",
      "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "",
      "00-00000000000000000000000000000000-0000000000000000-00",
      "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-\u{301}more",
    ].map { Array($0.utf8) }
  } run: { input in
    let parsed = input.withUnsafeBytes { TraceParent(parsing: $0) }
    // The grammar, read in another way, by bytes: a letter of several scalars may begin with a dash.
    let parts = input.split(
      separator: UInt8(ascii: "-"), maxSplits: 4, omittingEmptySubsequences: false)
    let isHex = { (part: ArraySlice<UInt8>, count: Int) in
      part.count == count && part.allSatisfy { "0123456789abcdef".utf8.contains($0) }
    }
    let isOne = { (part: ArraySlice<UInt8>, text: String) in part.elementsEqual(text.utf8) }
    let isNotZero = { (part: ArraySlice<UInt8>) in part.contains { $0 != UInt8(ascii: "0") } }
    let isGood =
      parts.count >= 4 && isHex(parts[0], 2) && !isOne(parts[0], "ff") && isHex(parts[1], 32)
      && isHex(parts[2], 16) && isHex(parts[3], 2) && (parts.count == 4 || !isOne(parts[0], "00"))
      && isNotZero(parts[1]) && isNotZero(parts[2])
    try check((parsed != nil) == isGood, "parsed to \(String(describing: parsed))")
    guard let parsed else { return }
    try checkEqual(parsed.trace.text, String(decoding: parts[1], as: UTF8.self), "trace")
    try checkEqual(parsed.parent.text, String(decoding: parts[2], as: UTF8.self), "parent")
    let again = Array(parsed.text.utf8).withUnsafeBytes { TraceParent(parsing: $0) }
    try checkEqual(again, parsed, "parsed again")
  },

  FuzzTarget("access-line") {
    [
      "/a.B/C", "x\n\"}{\\", "\u{202E}\u{1F980}\u{0}", String(repeating: "\u{85}", count: 900),
      String(repeating: "\u{601}", count: 100),
    ].map { Array($0.utf8) } + [[0xFF, 0xC0, 0x80]]
  } run: { input in
    let text = String(decoding: input, as: UTF8.self)
    let status = RPCStatus(.unimplemented, text, details: input)
    let details = {
      CallDetails(path: text, status: status, caller: CallerName(subject: text, tenant: text))
    }
    for format in [LogFormat.json, .text] {
      var line = AccessLine(format, methods: [], tenantName: { _ in text })
      line.write(unknownCall(), details(), sample: 5, trace: TraceID(high: 1, low: 2))
      let bytes = line.line.bytes
      try check(bytes.count <= LogLine.maximumBytes, "\(bytes.count) bytes")
      try check(bytes.last == 10, "no newline")
      try check(bytes.dropLast().allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "not printable ASCII")
      guard format == .json else { continue }
      let found = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
      let subject = (found?["subject"] as? String) ?? ""
      let isWhole = subject.unicodeScalars.elementsEqual(text.unicodeScalars)
      try check(
        isWhole
          // By scalars: some letters make one character with the first dot.
          || subject.unicodeScalars.suffix(3).elementsEqual("...".unicodeScalars)
            && text.unicodeScalars.starts(
              with: subject.unicodeScalars.dropLast(3)),
        "not what it was")
    }
  },
]

private func unknownCall() -> CallRecord {
  CallRecord(
    method: nil, wire: .ttrpc, peer: .anonymous, code: .unimplemented, tag: CallTag(low: 1),
    requestBytes: .max, responseBytes: .max, requestMessages: .max, responseMessages: .max,
    beginTime: 0, startTime: .max, endTime: .max)
}
