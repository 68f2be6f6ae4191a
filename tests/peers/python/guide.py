"""The client side of the libqi guide, for its service `foo`: guide.py URL.

Prints what each line of it gives, then `done`.
"""

import sys

import qi

import stdio


def main():
    stdio.claim_stdout()
    qi.logging.setLevel(qi.logging.WARNING)
    app = qi.Application(["guide", "--qi-url=" + sys.argv[1]])
    app.start()
    session = app.session
    session.waitForService("foo")
    foo = session.service("foo")

    banged = qi.Promise()
    foo.onBang.connect(banged.setValue)
    stdio.say("bang %s" % foo.bang())
    stdio.say("onBang %s" % banged.future().value(20000))

    stdio.say("bar %s" % foo.bar(0.25))
    stdio.say("betterBar %s" % foo.betterBar(0.25))
    for fut in [qi.runAsync(foo.bar, 0.5), foo.betterBar(0.5, _async=True)]:
        stdio.say("async %s" % fut.value(20000))

    # One that is not awaited by the service's only thread, and one that overtakes it.
    slow = foo.betterBar(60.0, _async=True)
    stdio.say("meanwhile %s %s" % (foo.betterBar(0.125), slow.isRunning()))
    slow.cancel()
    slow.wait(20000)
    stdio.say("canceled %s" % slow.isCanceled())
    stdio.say("done")
    stdio.leave()


if __name__ == "__main__":
    main()
