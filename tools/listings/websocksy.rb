# A formula for Homebrew: brew install OWNER/tap/websocksy.
class Websocksy < Formula
  desc "Bridge from WebSocket to TCP, UDP, TLS and Unix sockets"
  homepage "https://github.com/@OWNER@/websocksy"
  version "@VERSION@"
  license "MIT"

  on_macos do
    on_arm do
      url "@URL aarch64-apple-darwin.tar.gz@"
      sha256 "@SHA256 aarch64-apple-darwin.tar.gz@"
    end
    on_intel do
      url "@URL x86_64-apple-darwin.tar.gz@"
      sha256 "@SHA256 x86_64-apple-darwin.tar.gz@"
    end
  end

  on_linux do
    on_arm do
      url "@URL aarch64-unknown-linux-gnu.tar.gz@"
      sha256 "@SHA256 aarch64-unknown-linux-gnu.tar.gz@"
    end
    on_intel do
      url "@URL x86_64-unknown-linux-gnu.tar.gz@"
      sha256 "@SHA256 x86_64-unknown-linux-gnu.tar.gz@"
    end
  end

  def install
    bin.install "websocksy"
    man1.install "websocksy.1"
    bash_completion.install "completions/websocksy.bash" => "websocksy"
    zsh_completion.install "completions/_websocksy"
    fish_completion.install "completions/websocksy.fish"
    (etc/"websocksy").mkpath
    (etc/"websocksy").install "config.example.ini" => "websocksy.ini"
  end

  service do
    run [opt_bin/"websocksy", etc/"websocksy/websocksy.ini"]
    keep_alive crashed: true
    error_log_path var/"log/websocksy.log"
  end

  test do
    assert_match "websocksy #{version}", shell_output("#{bin}/websocksy --version")
  end
end
