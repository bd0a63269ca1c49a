import Tenancy
import TenancyFetch

/// What servers answer that keys are fetched from, and where these may be.
let fetchTargets: [FuzzTarget] = [
  FuzzTarget("http-answer") {
    [
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: max-age=60, no-cache\r\nAge: 3\r\n\r\n{}",
      "HTTP/1.1 103 X\r\nA: b\r\n\r\nHTTP/1.0 200\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n1\r\n \r\n0\r\nT: x\r\n\r\n",
      "HTTP/1.1 302 Found\r\nLocation: https://a.test/\r\n\r\n", "",
    ].map { Array($0.utf8) }
  } run: { input in
    func read(_ pieces: [[UInt8]]) -> Result<HTTPDocument, FetchFailure> {
      Result { () throws(FetchFailure) in
        var reader = HTTPResponseReader()
        for piece in pieces { try reader.receive(piece[...]) }
        return try reader.end()
      }
    }
    let whole = read([input])
    switch (whole, read(input.pieces())) {
    case (.success(let one), .success(let other)):
      try checkEqual(one, other, "in pieces")
      try check(one.body.count <= HTTPResponseReader.maximumBodyBytes, "the body's size")
      try check((one.maximumAge ?? 0) >= 0, "age")
      // Nothing is missing, and nothing may follow.
      try check((try? read([input + [0x0A]]).get()) == nil, "more than there is")
      try check((try? read([input.dropLast()]).get()) == nil, "less than there is")
    case (.failure, .failure): break
    default: try check(false, "it depends on how it comes: \(whole)")
    }
  },

  FuzzTarget("dns-answer") {
    [
      "0007 8180 0001 0001 0000 0000 01 61 00 0010 0001 c00c 0010 0001 00000001 0002 01 62",
      "0007 8180 0001 0002 0000 0000 01 61 00 0010 0001 c00c 0005 0001 00000001 0003 01 63 00"
        + " 01 63 00 0010 0001 00000001 0001 00",
      "0007 8183 0001 0000 0000 0000 01 61 00 0010 0001", "",
    ].compactMap { HexBytes.bytes($0.replacing(" ", with: "")) }
  } run: { input in
    guard let question = DNSQuestion("a", .text) else { return }
    let read = Result { () throws(FetchFailure) in
      try DNSMessage.read(input, to: question, id: 7)
    }
    guard case .success(.records(let records)?) = read else { return }
    try check(records.allSatisfy { $0.count < input.count }, "more than there is")
    for record in records {
      try check((DNSMessage.text(record)?.count ?? 0) <= record.count, "a text")
    }
  },

  FuzzTarget("https-url") {
    [
      "https://id.example.com:8443/a%2Fb?c=d", "https://a", "*.example.com:443", "127.0.0.1",
      "https://a@b/#",
    ].map { Array($0.utf8) }
  } run: { input in
    let text = String(decoding: input, as: UTF8.self)
    if let url = HTTPSURL(parsing: text) {
      try checkEqual(
        HTTPSURL(parsing: "https://\(url.authority)\(url.target)")?.host, url.host, "host")
      try check(url.target.utf8.first == UInt8(ascii: "/"), "target")
      let all = url.host.utf8 + Array(url.target.utf8)
      try check(all.allSatisfy { (0x21...0x7E).contains($0) }, "what is sent")
      try check(!url.host.utf8.contains { $0 == 0x40 || $0 == 0x3A || $0 == 0x5B }, "a name")
      let exact = HostPattern(parsing: url.authority)
      try check(exact?.matches(url) == true, "its own pattern")
      try check(
        HostPattern(parsing: "*.\(url.authority)")?.matches(url) != true, "what is below it")
    }
    _ = HostPattern(parsing: text)
    if let digest = PublishedKeySet.digest(ofPin: text) { try check(digest.count == 32, "a pin") }
  },
]
