/* A quiz answers in the page: the chosen answer's reason appears, and is read aloud. */
document.querySelectorAll(".ex-quiz fieldset").forEach(question => {
  question.classList.add("ready");
  question.addEventListener("change", event => {
    const box = event.target, right = box.dataset.right === "yes";
    question.querySelectorAll(".why").forEach(why => {
      why.classList.toggle("on", why.dataset.for === box.id);
      why.classList.toggle("right", right);
    });
    question.querySelector(".said").textContent =
      question.querySelector(".why.on").textContent.trim();
  });
});
