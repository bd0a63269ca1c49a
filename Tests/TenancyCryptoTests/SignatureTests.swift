import Foundation
import TenancyTestSupport
import Testing

@testable import TenancyCrypto

/// Signatures over messages, judged by OpenSSL's own program and by what RFCs give.
@Suite struct SignatureTests {
  let scratch: TemporaryDirectory
  static let message = Array("what is signed".utf8)

  init() throws { scratch = try TemporaryDirectory() }

  /// A private key of OpenSSL's program.
  private func key(_ options: String...) throws -> [UInt8] {
    let file = scratch.path + "/\(UUID())"
    let command = ["genpkey", "-outform", "DER", "-out", file] + options
    #expect(try OpenSSL.run(arguments: command).status == 0)
    let pkcs8 = try OpenSSL.run(
      "pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-outform", "DER", "-in", file,
      "-out", file + ".p8")
    #expect(pkcs8.status == 0)
    return Array(try Data(contentsOf: URL(filePath: file + ".p8")))
  }

  private func signer(_ algorithm: SignatureAlgorithm) throws -> MessageSigner {
    let der =
      switch algorithm {
      case .es256: try key("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
      case .es384: try key("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")
      case .ps256, .rs256: try key("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
      case .eddsa: try key("-algorithm", "ED25519")
      }
    return unsafe try der.withUnsafeBytes { unsafe try MessageSigner(pkcs8: $0, algorithm) }
  }

  private func verifies(
    _ verifier: MessageVerifier, _ signature: [UInt8], _ message: [UInt8] = message
  ) -> Bool {
    verifier.verify(signature, of: message[...])
  }

  @Test(arguments: SignatureAlgorithm.allCases) func roundTrip(algorithm: SignatureAlgorithm) throws
  {
    let signer = try signer(algorithm)
    let verifier = try MessageVerifier(signer.publicKey, algorithm)
    let signature = try signer.sign(Self.message[...])
    #expect(verifies(verifier, signature))
    #expect(verifies(verifier, try signer.sign([]), []))
    // Any bit, any length, and any other message.
    for at in signature.indices {
      for bit in 0..<8 {
        var changed = signature
        changed[at] ^= 1 << bit
        #expect(!verifies(verifier, changed), "bit \(bit) of byte \(at)")
      }
      #expect(!verifies(verifier, Array(signature[..<at])))
    }
    #expect(!verifies(verifier, signature + [0]))
    #expect(!verifies(verifier, [0] + signature))
    #expect(!verifies(verifier, signature, Self.message + [0]))
    #expect(!verifies(verifier, signature, []))
    // Another key of the kind.
    let other = try MessageVerifier(try self.signer(algorithm).publicKey, algorithm)
    #expect(!verifies(other, signature))
    #expect(OpenSSLErrors.drain().codes.isEmpty)
  }

  @Test(arguments: [SignatureAlgorithm.es256, .es384, .eddsa])
  func generatedKeysAreStored(algorithm: SignatureAlgorithm) throws {
    let signer = try MessageSigner(generating: algorithm)
    let file = scratch.path + "/key.der"
    try unsafe signer.withPKCS8 { try unsafe Data($0).write(to: URL(filePath: file)) }
    #expect(try OpenSSL.run("pkey", "-inform", "DER", "-in", file, "-check", "-noout").status == 0)
    let again = try unsafe signer.withPKCS8 { unsafe try MessageSigner(pkcs8: $0, algorithm) }
    #expect(again.publicKey == signer.publicKey)
    let verifier = try MessageVerifier(signer.publicKey, algorithm)
    #expect(verifies(verifier, try again.sign(Self.message[...])))
    #expect(try MessageSigner(generating: algorithm).publicKey != signer.publicKey)
  }

  @Test func privateKeysAreReadStrictly() throws {
    let signer = try MessageSigner(generating: .es256)
    let der = try unsafe signer.withPKCS8 { unsafe Array($0) }
    func code(_ der: [UInt8], _ algorithm: SignatureAlgorithm) -> CryptoError.Code? {
      do {
        _ = try unsafe der.withUnsafeBytes { unsafe try MessageSigner(pkcs8: $0, algorithm) }
        return nil
      } catch {
        return (error as? CryptoError)?.code
      }
    }
    #expect(code(der, .es256) == nil)
    #expect(code(der + [0], .es256) == .key)
    #expect(code(Array(der.dropLast()), .es256) == .key)
    #expect(code([], .es256) == .key)
    for other in [SignatureAlgorithm.es384, .ps256, .rs256, .eddsa] {
      #expect(code(der, other) == .key)
    }
    for options in [
      ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
      ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"],
      ["-algorithm", "ED448"], ["-algorithm", "X25519"],
      ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
    ] {
      let file = scratch.path + "/other.der"
      let command = ["genpkey", "-outform", "DER", "-out", file] + options
      #expect(try OpenSSL.run(arguments: command).status == 0)
      let pkcs8 = try OpenSSL.run(
        "pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-outform", "DER", "-in", file, "-out",
        file + "8")
      #expect(pkcs8.status == 0)
      let bytes = Array(try Data(contentsOf: URL(filePath: file + "8")))
      for algorithm in SignatureAlgorithm.allCases {
        #expect(code(bytes, algorithm) == .key, "\(options)")
      }
    }
  }

  /// Signatures that are good for any message where bounds of r and s are forgotten (CVE-2022-21449).
  @Test(arguments: [SignatureAlgorithm.es256, .es384])
  func psychicSignatures(algorithm: SignatureAlgorithm) throws {
    guard case .elliptic(let curve) = algorithm.keyKind else { return }
    let signer = try MessageSigner(generating: algorithm)
    let verifier = try MessageVerifier(signer.publicKey, algorithm)
    let good = try signer.sign(Self.message[...])
    let (r, s) = (Array(good[..<curve.coordinateBytes]), Array(good[curve.coordinateBytes...]))
    let zero = [UInt8](repeating: 0, count: curve.coordinateBytes)
    let one = Array(zero.dropLast()) + [1]
    let all = [UInt8](repeating: 0xFF, count: curve.coordinateBytes)
    var above = curve.order
    above[above.count - 1] += 1
    for bad in [zero, one, curve.order, above, all] {
      #expect(!verifies(verifier, bad + bad))
      #expect(!verifies(verifier, bad + s))
      #expect(!verifies(verifier, r + bad))
    }
    #expect(ECDSAForm.der(zero + s, curve) == nil)
    #expect(ECDSAForm.der(r + curve.order, curve) == nil)
    #expect(ECDSAForm.der(one + one, curve) == [0x30, 6, 2, 1, 1, 2, 1, 1])
    // What OpenSSL itself would take.
    let der = try #require(ECDSAForm.der(good, curve))
    #expect(!verifies(verifier, der))
    #expect(ECDSAForm.raw(der, curve) == good)
    #expect(ECDSAForm.raw(der + [0], curve) == nil)
    #expect(ECDSAForm.raw(Array(der.dropLast()), curve) == nil)
  }

  @Test func publicKeysAreChecked() throws {
    let point = [UInt8](repeating: 1, count: 32)
    #expect(throws: CryptoError.self) {
      try MessageVerifier(try PublicKey(.elliptic(.p256, x: point, y: point)), .es256)
    }
    let zero = [UInt8](repeating: 0, count: 32)
    #expect(throws: CryptoError.self) {
      try MessageVerifier(try PublicKey(.elliptic(.p256, x: zero, y: zero)), .es256)
    }
    for count in [0, 31, 33, 48] {
      let short = [UInt8](repeating: 1, count: count)
      #expect(throws: CryptoError.self) { try PublicKey(.elliptic(.p256, x: short, y: point)) }
      #expect(throws: CryptoError.self) { try PublicKey(.elliptic(.p256, x: point, y: short)) }
      #expect(throws: CryptoError.self) { try PublicKey(.ed25519(short)) }
    }
    // Points of small order, and y at or above the prime.
    for first in [UInt8(0), 1, 0xEC, 0xED, 0xEE, 0xFF] {
      let isLow = first < 2
      var y = [UInt8](repeating: isLow ? 0 : 0xFF, count: 32)
      y[0] = first
      y[31] &= 0x7F
      #expect(throws: CryptoError.self) { try PublicKey(.ed25519(y)) }
      #expect(throws: CryptoError.self) {
        try PublicKey(.ed25519(Array(y.dropLast()) + [y[31] | 0x80]))
      }
    }
    // Another algorithm's.
    let key = try MessageSigner(generating: .es256).publicKey
    for other in [SignatureAlgorithm.es384, .ps256, .rs256, .eddsa] {
      #expect(throws: CryptoError.self) { try MessageVerifier(key, other) }
    }
  }

  @Test func numbersOfRSA() throws {
    guard case .rsa(let modulus, _) = try signer(.rs256).publicKey.numbers else { return }
    func isRefused(_ modulus: [UInt8], _ exponent: [UInt8]) -> Bool {
      do throws(CryptoError) {
        _ = try MessageVerifier(try PublicKey(.rsa(modulus: modulus, exponent: exponent)), .rs256)
        return false
      } catch {
        return error.code == .key
      }
    }
    let usual: [UInt8] = [1, 0, 1]
    #expect(!isRefused(modulus, usual))
    #expect(!isRefused(modulus, [0xFF, 0xFF, 0xFF, 0xFF]))
    for exponent: [UInt8] in [
      [], [0], [1], [3], [1, 0], [0xFF, 0xFF], [1, 0, 0], [1, 0, 2], [0, 1, 0, 1], [1, 0, 0, 0, 1],
    ] {
      #expect(isRefused(modulus, exponent), "\(exponent)")
    }
    #expect(isRefused([], usual))
    #expect(isRefused([0] + modulus, usual))
    #expect(isRefused(Array(modulus.dropLast()) + [modulus[255] & 0xFE], usual))
    #expect(isRefused(Array(modulus.prefix(128).dropLast()) + [1], usual))
    #expect(isRefused([0x7F] + [UInt8](repeating: 0xFF, count: 255), usual))
    #expect(isRefused([1] + [UInt8](repeating: 0xFF, count: 1024), usual))
  }

  @Test func oneKeyInManyThreads() async throws {
    for algorithm in [SignatureAlgorithm.es256, .eddsa] {
      let signer = try MessageSigner(generating: algorithm)
      let verifier = try MessageVerifier(signer.publicKey, algorithm)
      let good = try await withThrowingTaskGroup(of: Int.self) { group in
        for thread in 0..<8 {
          group.addTask {
            var good = 0
            for index in 0..<50 {
              let message = Array("\(thread) \(index)".utf8)
              let signature = try signer.sign(message[...])
              if verifier.verify(signature, of: message[...]) { good += 1 }
              if verifier.verify(signature, of: Self.message[...]) { good -= 1 }
            }
            return good
          }
        }
        return try await group.reduce(0, +)
      }
      #expect(good == 400)
    }
  }

  @Test func comparisons() {
    #expect(ConstantTime.areEqual([1, 2], [1, 2]))
    #expect(ConstantTime.areEqual([], []))
    #expect(!ConstantTime.areEqual([1, 2], [1, 3]))
    #expect(!ConstantTime.areEqual([1, 2], [1]))
    #expect(!ConstantTime.areEqual([], [0]))
  }
}
