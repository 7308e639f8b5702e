// A hint at how strong a password is while it is typed. It stays in the browser,
// and is a hint: the server decides by its own rules.
import { ZxcvbnFactory } from "@zxcvbn-ts/core";
import { adjacencyGraphs, dictionary } from "@zxcvbn-ts/language-common";
import firstnames from "@zxcvbn-ts/language-en/src/firstnames.json";

const most = 128; // characters that are looked at
const pause = 150; // milliseconds without a key before it is looked at again

const hint = document.querySelector("[data-strength]");
const input = document.querySelector("input[autocomplete=new-password]");
if (hint && input) {
  const judge = new ZxcvbnFactory({ graphs: adjacencyGraphs, dictionary: { ...dictionary, "firstnames-en": firstnames } });
  const bar = hint.querySelector("meter");
  const words = hint.querySelector("output");
  const about = () => [...document.querySelectorAll("input:not([type=password]):not([type=hidden])")]
    .flatMap((field) => field.value.split(/[\s@.]+/)).concat(hint.dataset.site.split(/\s+/)).filter((word) => word.length > 2);
  const show = () => {
    hint.hidden = input.value === "";
    if (hint.hidden) return;
    let { score } = judge.check(input.value.slice(0, most), about());
    const short = [...input.value.normalize("NFC")].length < Number(hint.dataset.least);
    if (short) score = Math.min(score, 1);
    bar.value = score + 1;
    words.value = short ? hint.dataset.short : hint.dataset[`score${score}`];
  };
  let waiting;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, pause);
  });
}
