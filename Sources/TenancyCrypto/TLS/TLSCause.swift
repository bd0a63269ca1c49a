internal import CTenancyOpenSSL

#if canImport(Glibc)
  internal import Glibc
#endif

/// What an error of OpenSSL's queue means, in plain words, for those who can mend it.
enum TLSCause {
  /// Nil for what is rare enough to need OpenSSL's own words.
  static func words(_ error: UInt) -> String? {
    if error & systemFlag != 0 {
      return words(system: Int32(truncatingIfNeeded: error & ~systemFlag))
    }
    // As the macros ERR_GET_LIB and ERR_GET_REASON do.
    let library = Int32(error >> UInt(ERR_LIB_OFFSET) & UInt(ERR_LIB_MASK))
    let reason = Int32(error & UInt(ERR_REASON_MASK))
    switch library {
    case ERR_LIB_PEM: return words(pem: reason)
    case ERR_LIB_ASN1: return "its PEM is damaged"
    case ERR_LIB_OSSL_DECODER: return "no PEM of that kind is in it, or it is damaged"
    case ERR_LIB_X509: return words(x509: reason)
    case ERR_LIB_SSL: return words(ssl: reason)
    default: return nil
    }
  }

  /// ERR_SYSTEM_FLAG, which Swift does not import.
  private static let systemFlag: UInt = 0x8000_0000

  private static func words(system code: Int32) -> String? {
    switch code {
    case ENOENT: "there is no such file"
    case EACCES: "this user may not read it"
    case EISDIR: "it is a directory"
    default: nil
    }
  }

  private static func words(pem reason: Int32) -> String {
    switch reason {
    case PEM_R_NO_START_LINE: "no PEM of that kind is in it"
    case PEM_R_BAD_PASSWORD_READ, PEM_R_PROBLEMS_GETTING_PASSWORD:
      "it has a passphrase, and there is nobody to ask for it"
    default: "its PEM is damaged"
    }
  }

  private static func words(x509 reason: Int32) -> String? {
    switch reason {
    case X509_R_KEY_VALUES_MISMATCH, X509_R_KEY_TYPE_MISMATCH: "it is not the certificate's key"
    default: nil
    }
  }

  private static func words(ssl reason: Int32) -> String? {
    switch reason {
    case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_PACKET_LENGTH_TOO_LONG:
      "the other side does not speak TLS"
    case SSL_R_UNSUPPORTED_PROTOCOL: "there is no version of TLS that both sides take"
    case SSL_R_NO_SHARED_CIPHER: "there are no algorithms that both sides take"
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: "the other side presented no certificate"
    case SSL_R_EE_KEY_TOO_SMALL, SSL_R_CA_KEY_TOO_SMALL: "its key is too short"
    case SSL_AD_REASON_OFFSET...SSL_AD_REASON_OFFSET + 255:
      words(alert: reason - SSL_AD_REASON_OFFSET)
    default: nil
    }
  }

  private static func words(alert: Int32) -> String? {
    switch alert {
    case SSL_AD_CERTIFICATE_EXPIRED: "the other side refused our certificate: it has expired"
    case SSL_AD_CERTIFICATE_REVOKED: "the other side refused our certificate: it is revoked"
    case SSL_AD_UNKNOWN_CA: "the other side refused our certificate: it does not know its CA"
    case SSL_AD_BAD_CERTIFICATE, SSL_AD_UNSUPPORTED_CERTIFICATE, SSL_AD_CERTIFICATE_UNKNOWN,
      SSL_AD_ACCESS_DENIED:
      "the other side refused our certificate"
    case TLS13_AD_CERTIFICATE_REQUIRED: "the other side wants a certificate, and got none"
    case SSL_AD_PROTOCOL_VERSION: "there is no version of TLS that both sides take"
    case TLS1_AD_NO_APPLICATION_PROTOCOL: "the other side takes no protocol that was offered"
    default: nil
    }
  }

  /// Why a certificate was refused; nil where OpenSSL's own words are plain.
  static func words(verification code: Int32) -> String? {
    switch code {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
      X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
      X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      "its CA is unknown here"
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: "it is not of the CA that it names"
    case X509_V_ERR_INVALID_PURPOSE: "it is for another use"
    case X509_V_ERR_UNABLE_TO_GET_CRL: "there is no current CRL of its CA"
    default: nil
    }
  }
}
