// The workshop's sounds, made here: [hertz, start, length, shape], in seconds. Rising is in, falling is out, low is no.
// The kiosk browser starts with autoplay allowed, so the first tap is heard before anybody touched; elsewhere the first
// touch allows it.
"use strict";

window.sheberSound = (() => {
  const LOUD = 0.6;
  const SOUNDS = {
    in: [[660, 0, 0.14, "triangle"], [990, 0.15, 0.26, "triangle"]],
    observer: [[660, 0, 0.14, "triangle"], [990, 0.15, 0.26, "triangle"]],
    out: [[880, 0, 0.14, "triangle"], [587, 0.15, 0.26, "triangle"]],
    tell: [[660, 0, 0.2, "triangle"]],
    pick: [[660, 0, 0.09, "triangle"], [660, 0.13, 0.09, "triangle"], [880, 0.26, 0.16, "triangle"]],
    no: [[150, 0, 0.5, "sawtooth"], [75, 0, 0.5, "square"]],
    warn: [[988, 0, 0.16, "square"], [740, 0.2, 0.16, "square"], [988, 0.4, 0.16, "square"], [740, 0.6, 0.2, "square"]],
    touch: [[1320, 0, 0.04, "sine"]],
  };
  let audio = null;

  function tone(frequency, from, length, shape) {
    const start = audio.currentTime + from;
    const voice = audio.createOscillator();
    const level = audio.createGain();
    voice.type = shape;
    voice.frequency.value = frequency;
    level.gain.setValueAtTime(0, start);
    level.gain.linearRampToValueAtTime(LOUD, start + 0.01);
    level.gain.setValueAtTime(LOUD, start + length - 0.02);
    level.gain.linearRampToValueAtTime(0, start + length);
    voice.connect(level).connect(audio.destination);
    voice.start(start);
    voice.stop(start + length);
  }

  function play(kind) {
    document.documentElement.dataset.sound = kind; // what was played last, for whoever watches instead of listening
    try {
      audio ??= new AudioContext();
      if (audio.state === "suspended") audio.resume();
      for (const each of SOUNDS[kind] ?? []) tone(...each);
      return audio.state;
    } catch {
      audio = null; // a machine without sound still answers by colour, icon and text
      return "none";
    }
  }
  return { play, state: () => (audio === null ? "none" : audio.state) };
})();
